package github

import (
	"context"
	"errors"
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
		if exists(moved) { // made by an attempt whose answer was lost, or by somebody else
			c.appears(ctx, ch.Branch)
		}
		err = moved
	}
	return err
}

// appears waits for a branch that GitHub says is there.
func (c *Client) appears(ctx context.Context, branch string) bool {
	return c.late(ctx, func() error {
		_, err := c.ref(ctx, "heads/"+escaped(branch))
		return err
	}) == nil
}

func (c *Client) commitOnce(ctx context.Context, ch Change) (done bool, err error) {
	head, err := c.ref(ctx, "heads/"+escaped(ch.Branch))
	fresh := notFound(err)
	if fresh {
		head, err = c.start(ctx, ch)
	} else if err == nil {
		done, err = c.holds(ctx, ch, ch.Branch)
	}
	if err != nil || done {
		return done, err
	}
	at := origin{tree: head.Object.SHA, parents: []string{head.Object.SHA}}
	if !fresh && ch.At != "" {
		if at, err = c.forward(ctx, head.Object.SHA, ch); err != nil {
			return true, err
		}
	}
	sha, err := c.newCommit(ctx, at, ch)
	if err != nil {
		return true, err // a 422 here speaks of the commit, not of a race
	}
	if fresh {
		return false, c.createRef(ctx, "refs/heads/"+ch.Branch, sha)
	}
	return false, c.idempotent(ctx, http.MethodPatch, "git/refs/heads/"+escaped(ch.Branch),
		map[string]any{"sha": sha, "force": false}, nil)
}

// start is the commit from which the change's branch is made.
func (c *Client) start(ctx context.Context, ch Change) (at object, err error) {
	if ch.At == "" {
		return c.ref(ctx, "heads/"+escaped(ch.Base))
	}
	at.Object.SHA = ch.At
	return at, nil
}

// origin is what a commit is made from: the commit whose other files it keeps, and its parents.
type origin struct {
	tree    string
	parents []string
}

// ErrEdited says that somebody else committed to a change's branch, whose files
// are not what they would be now: what people wrote there is not written over.
var ErrEdited = errors.New("somebody else committed to the branch")

// forward brings a branch that is there to the commit from which its files were
// made: where that is a newer one, by a merge, so that the pull request differs
// from its base in the change's files alone.
func (c *Client) forward(ctx context.Context, head string, ch Change) (origin, error) {
	var tip struct {
		Message string
		Parents []struct{ SHA string }
	}
	if err := c.idempotent(ctx, http.MethodGet, "git/commits/"+segment(head), nil, &tip); err != nil {
		return origin{}, err
	}
	if tip.Message != ch.Message {
		return origin{}, &fault.Error{Code: fault.General, Message: "branch " + ch.Branch + " is not brought up to date",
			Err: ErrEdited, Expected: "a last commit of the pipeline's own", Got: fmt.Sprintf("%.100q", tip.Message),
			Hint: "merge " + ch.Base + " into it and review it; or delete the branch, and run the same command again"}
	}
	for _, parent := range tip.Parents {
		if parent.SHA == ch.At {
			return origin{tree: head, parents: []string{head}}, nil
		}
	}
	return origin{tree: ch.At, parents: []string{head, ch.At}}, nil
}

type entry struct {
	Path    string `json:"path"`
	Mode    string `json:"mode"`
	Type    string `json:"type"`
	Content string `json:"content"`
}

// newCommit makes a commit that no branch leads to yet. Made twice, it is garbage that GitHub collects.
func (c *Client) newCommit(ctx context.Context, from origin, ch Change) (string, error) {
	var on struct{ Tree struct{ SHA string } }
	if err := c.idempotent(ctx, http.MethodGet, "git/commits/"+segment(from.tree), nil, &on); err != nil {
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
	in := map[string]any{"message": ch.Message, "tree": tree.SHA, "parents": from.parents}
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
