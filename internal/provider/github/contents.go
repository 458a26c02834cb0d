package github

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
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

// treeEntry is what lies in a folder, as the Git database lists it.
type treeEntry struct{ Path, Type, SHA string }

// Folder lists the names of the files in a folder of the repository on a
// branch; none when there is no such folder. It asks for the folders' trees: the
// list of their contents ends after 1,000 files, and is silent about it.
func (c *Client) Folder(ctx context.Context, path, branch string) ([]string, error) {
	doing := fmt.Sprintf("list %q on branch %q", path, branch)
	tree, err := c.tree(ctx, escaped(branch))
	for name := range strings.SplitSeq(path, "/") {
		i := slices.IndexFunc(tree, func(e treeEntry) bool { return e.Path == name })
		switch {
		case err != nil, i < 0:
			tree = nil
		case tree[i].Type != "tree":
			tree, err = nil, fmt.Errorf("%q is no folder", name)
		default:
			tree, err = c.tree(ctx, segment(tree[i].SHA))
		}
	}
	if err != nil && !notFound(err) {
		return nil, explain(doing, err)
	}
	var out []string
	for _, e := range tree {
		if e.Type == "blob" {
			out = append(out, e.Path)
		}
	}
	return out, nil
}

// tree lists a folder; one of which GitHub does not list everything is an error.
func (c *Client) tree(ctx context.Context, at string) ([]treeEntry, error) {
	var out struct {
		Tree      []treeEntry
		Truncated bool
	}
	err := c.idempotent(ctx, http.MethodGet, "git/trees/"+at, nil, &out)
	if err == nil && out.Truncated {
		err = &fault.Error{Code: fault.General, Message: "github: a folder has more entries than GitHub lists",
			Got: fmt.Sprintf("%d of them", len(out.Tree))}
	}
	return out.Tree, err
}
