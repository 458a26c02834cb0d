package github

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
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
	commit, err := c.put(ctx, ch)
	if err == nil && commit == "" { // it was there
		var at object
		at, err = c.ref(ctx, "heads/"+escaped(ch.Branch))
		commit = at.Object.SHA
	}
	if err != nil {
		return "", explain(doing, err)
	}
	return fmt.Sprintf("https://%s/%s/%s/%s", rawHost, c.repository, commit, escaped(ch.Path)), nil
}

// Unshare deletes a branch; one that is gone already is no error.
func (c *Client) Unshare(ctx context.Context, branch string) error {
	err := c.idempotent(ctx, http.MethodDelete, "git/refs/heads/"+escaped(branch), nil, nil)
	if notFound(err) || rejected(err) && strings.Contains(err.Error(), "Reference does not exist") {
		return nil // every other 422 is a rule of the repository that keeps the branch
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

// maxFolder: "This API has an upper limit of 1,000 files for a directory", beyond which it is silent.
const maxFolder = 1000

// Folder lists the names of the files in a folder of the repository on a
// branch; none when there is no such folder. A folder that may have more files
// than GitHub lists is an error.
func (c *Client) Folder(ctx context.Context, path, branch string) ([]string, error) {
	doing := fmt.Sprintf("list %q on branch %q", path, branch)
	var entries []struct{ Type, Name string }
	err := c.idempotent(ctx, http.MethodGet, "contents/"+escaped(path)+"?ref="+url.QueryEscape(branch), nil, &entries)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(doing, err)
	}
	if len(entries) >= maxFolder {
		return nil, fmt.Errorf("%s: %d files or more, of which GitHub lists no more", doing, maxFolder)
	}
	var out []string
	for _, e := range entries {
		if e.Type == "file" {
			out = append(out, e.Name)
		}
	}
	return out, nil
}
