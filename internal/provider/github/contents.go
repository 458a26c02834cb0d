package github

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// rawHost serves the files of public repositories to anyone.
const rawHost = "raw.githubusercontent.com"

// Share commits a file to a branch of its own, made from the base, and returns
// the address at which anyone can read these very bytes: it names the commit.
// Sharing the same again changes nothing. Unshare it when nobody needs it.
func (c *Client) Share(ctx context.Context, ch Change) (url string, err error) {
	doing := fmt.Sprintf("share %q on branch %q", ch.Path, ch.Branch)
	if err := c.branch(ctx, ch); err != nil {
		return "", explain(doing, err)
	}
	if err := c.put(ctx, ch); err != nil {
		return "", explain(doing, err)
	}
	at, err := c.ref(ctx, "heads/"+escaped(ch.Branch))
	if err != nil {
		return "", explain(doing, err)
	}
	return fmt.Sprintf("https://%s/%s/%s/%s", rawHost, c.repository, at.Object.SHA, escaped(ch.Path)), nil
}

// Unshare deletes a branch; one that is gone already is no error.
func (c *Client) Unshare(ctx context.Context, branch string) error {
	err := c.idempotent(ctx, http.MethodDelete, "git/refs/heads/"+escaped(branch), nil, nil)
	if notFound(err) || rejected(err) { // GitHub answers 422 "Reference does not exist"
		return nil
	}
	return explain(fmt.Sprintf("delete branch %q", branch), err)
}

// ReadFile is the content of a file of the repository on a branch; ErrNotFound
// when there is none.
func (c *Client) ReadFile(ctx context.Context, path, branch string) ([]byte, error) {
	doing := fmt.Sprintf("read %q on branch %q", path, branch)
	f, err := c.content(ctx, path, branch)
	if err != nil {
		return nil, explain(doing, err)
	}
	if f.SHA == "" {
		return nil, fmt.Errorf("%s: %w", doing, ErrNotFound)
	}
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(f.Content, "\n", ""))
	if err != nil || f.Encoding != "base64" {
		return nil, fmt.Errorf("%s: GitHub answered no base64 (%q): %w", doing, f.Encoding, err)
	}
	return data, nil
}
