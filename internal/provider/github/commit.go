package github

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const (
	commitAttempts = 3 // of moving a branch on that others move too
	plainFile      = "100644"
)

// contents are the files of the change, however they were given.
func (ch Change) contents() map[string][]byte {
	if len(ch.Files) > 0 {
		return ch.Files
	}
	return map[string][]byte{ch.Path: ch.Content}
}

func (ch Change) paths() []string { return slices.Sorted(maps.Keys(ch.contents())) }

// holds says whether every file of the change is on the branch with its new content.
func (c *Client) holds(ctx context.Context, ch Change, branch string) (bool, error) {
	for _, path := range ch.paths() {
		f, err := c.content(ctx, path, branch)
		if err != nil || !f.is(ch.contents()[path]) {
			return false, err
		}
	}
	return true, nil
}

// commit puts all files on the change's branch in one commit and makes the
// branch when there is none. Whoever moves the branch at the same time is not
// overwritten: GitHub refuses what is no fast-forward, and this looks again.
func (c *Client) commit(ctx context.Context, ch Change) (err error) {
	if ch.Path != "" {
		return &fault.Error{Code: fault.Usage, Message: "a change of several files that names one besides",
			Got: fmt.Sprintf("%q", ch.Path)}
	}
	for range commitAttempts {
		done, moved := c.commitOnce(ctx, ch)
		if done || !rejected(moved) {
			return moved
		}
		err = moved
	}
	return err
}

func (c *Client) commitOnce(ctx context.Context, ch Change) (done bool, err error) {
	head, err := c.ref(ctx, "heads/"+escaped(ch.Branch))
	fresh := notFound(err)
	if fresh {
		head, err = c.ref(ctx, "heads/"+escaped(ch.Base))
	} else if err == nil {
		done, err = c.holds(ctx, ch, ch.Branch)
	}
	if err != nil || done {
		return done, err
	}
	sha, err := c.newCommit(ctx, head.Object.SHA, ch)
	if err != nil {
		return true, err // a 422 here speaks of the commit, not of a race
	}
	if fresh {
		return false, c.createRef(ctx, "refs/heads/"+ch.Branch, sha)
	}
	return false, c.idempotent(ctx, http.MethodPatch, "git/refs/heads/"+escaped(ch.Branch),
		map[string]any{"sha": sha, "force": false}, nil)
}

type entry struct {
	Path    string `json:"path"`
	Mode    string `json:"mode"`
	Type    string `json:"type"`
	Content string `json:"content"`
}

// newCommit makes a commit on parent that no branch leads to yet. Made twice, it is garbage that GitHub collects.
func (c *Client) newCommit(ctx context.Context, parent string, ch Change) (string, error) {
	var on struct{ Tree struct{ SHA string } }
	if err := c.idempotent(ctx, http.MethodGet, "git/commits/"+segment(parent), nil, &on); err != nil {
		return "", err
	}
	entries := make([]entry, 0, len(ch.Files))
	for _, path := range ch.paths() {
		if err := sendable(path, ch.Files[path]); err != nil {
			return "", err
		}
		entries = append(entries, entry{Path: path, Mode: plainFile, Type: "blob", Content: string(ch.Files[path])})
	}
	var tree, made struct{ SHA string }
	if err := c.idempotent(ctx, http.MethodPost, "git/trees", map[string]any{"base_tree": on.Tree.SHA, "tree": entries},
		&tree); err != nil {
		return "", err
	}
	in := map[string]any{"message": ch.Message, "tree": tree.SHA, "parents": []string{parent}}
	err := c.idempotent(ctx, http.MethodPost, "git/commits", in, &made)
	return made.SHA, err
}

// sendable refuses what GitHub would take for something else: a tree's content travels as text.
func sendable(path string, content []byte) error {
	if !utf8.Valid(content) {
		return &fault.Error{Code: fault.Usage, Message: "a file that is not UTF-8 text", Got: fmt.Sprintf("%q", path)}
	}
	return inside(path)
}
