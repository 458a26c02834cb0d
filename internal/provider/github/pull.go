package github

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Change is the new content of one file or of several, to be reviewed in a pull request.
type Change struct {
	Base    string // branch to merge into
	At      string // commit of Base from which Files were made; empty when they do not depend on what Base holds
	Branch  string // branch that carries the change; one for each change
	Path    string // in the repository; empty when Files says all
	Content []byte
	Files   map[string][]byte // by path: committed together, instead of Path and Content
	Message string            // of the commit
	Title   string            // of the pull request
	Body    string            // Markdown
	Labels  []string          // of the pull request; GitHub makes those that it does not know for who may write issues
}

// PullRequest is one that is open.
type PullRequest struct {
	Number  int    `json:"number"`
	HTMLURL string `json:"html_url"`
	// Unlabelled are labels that it lacks, because the repository does not know
	// one of them and the token may not make any (issues: write).
	Unlabelled []string `json:"-"`
}

// Propose opens a pull request with the change, or adopts the open one of the
// same branch and brings its files up to date. The zero PullRequest says that the
// base holds this content already.
func (c *Client) Propose(ctx context.Context, ch Change) (PullRequest, error) {
	pr, err := c.propose(ctx, ch)
	return pr, explain(fmt.Sprintf("propose a change of %q", strings.Join(ch.paths(), ", ")), err)
}

func (c *Client) propose(ctx context.Context, ch Change) (PullRequest, error) {
	held, err := c.holds(ctx, ch, ch.Base)
	if err != nil || held {
		return PullRequest{}, err
	}
	if err := c.bring(ctx, ch); err != nil {
		return PullRequest{}, err
	}
	pr, err := c.openOrAdopt(ctx, ch)
	if err != nil {
		return PullRequest{}, err
	}
	return c.label(ctx, pr, ch.Labels)
}

// bring puts the change on its branch: one file with one request, several with
// one commit, so that no state of the branch holds a part of them.
func (c *Client) bring(ctx context.Context, ch Change) error {
	if len(ch.Files) > 0 {
		return c.commit(ctx, ch)
	}
	if err := c.branch(ctx, ch); err != nil {
		return err
	}
	_, err := c.put(ctx, ch)
	return err
}

// branch creates the change's branch at the base's head unless it is there.
func (c *Client) branch(ctx context.Context, ch Change) error {
	_, err := c.ref(ctx, "heads/"+escaped(ch.Branch))
	if !notFound(err) {
		return err
	}
	base, err := c.ref(ctx, "heads/"+escaped(ch.Base))
	if err != nil {
		return err
	}
	refusal := c.createRef(ctx, "refs/heads/"+ch.Branch, base.Object.SHA)
	if exists(refusal) && c.appears(ctx, ch.Branch) { // made by an attempt whose answer was lost
		return nil
	}
	return refusal
}

type file struct {
	SHA      string // of the blob; empty when there is no such file
	Content  string
	Encoding string
}

func (f file) is(content []byte) bool {
	there, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(f.Content, "\n", ""))
	return f.SHA != "" && err == nil && f.Encoding == "base64" && bytes.Equal(there, content)
}

// content is a file on a branch. One of more than 1 MB is shown without its content, which its blob has.
func (c *Client) content(ctx context.Context, path, branch string) (f file, err error) {
	err = c.idempotent(ctx, http.MethodGet, "contents/"+escaped(path)+"?ref="+url.QueryEscape(branch), nil, &f)
	if notFound(err) {
		return file{}, nil
	}
	if err == nil && f.Encoding == "none" {
		err = c.idempotent(ctx, http.MethodGet, "git/blobs/"+segment(f.SHA), nil, &f)
	}
	return f, err
}

// put writes the file; it names the blob it replaces, so that a repetition of a
// request that had its effect is refused (409, 422) instead of making a second commit.
// commit is the one that it made; empty when it cannot say.
func (c *Client) put(ctx context.Context, ch Change) (commit string, err error) {
	there, err := c.content(ctx, ch.Path, ch.Branch)
	if err != nil || there.is(ch.Content) {
		return "", err
	}
	in := map[string]string{"message": ch.Message, "content": base64.StdEncoding.EncodeToString(ch.Content),
		"branch": ch.Branch}
	if there.SHA != "" {
		in["sha"] = there.SHA
	}
	var made struct{ Commit struct{ SHA string } }
	refusal := c.idempotent(ctx, http.MethodPut, "contents/"+escaped(ch.Path), in, &made)
	if refusal == nil {
		return made.Commit.SHA, nil
	}
	if there, err = c.content(ctx, ch.Path, ch.Branch); err == nil && there.is(ch.Content) {
		return "", nil
	}
	return "", refusal
}

// pull is a pull request as GitHub lists it.
type pull struct {
	PullRequest
	Labels   []struct{ Name string }
	State    string
	MergedAt string `json:"merged_at"` // empty unless it was merged
	Head     struct{ Label, Ref string }
}

// Head is the commit at which a branch is; ErrNotFound when there is no such branch.
func (c *Client) Head(ctx context.Context, branch string) (string, error) {
	at, err := c.ref(ctx, "heads/"+escaped(branch))
	return at.Object.SHA, explain(fmt.Sprintf("head of branch %q", branch), err)
}

// CommitMessage is what a commit says of itself.
func (c *Client) CommitMessage(ctx context.Context, sha string) (string, error) {
	var in struct{ Message string }
	err := c.idempotent(ctx, http.MethodGet, "git/commits/"+segment(sha), nil, &in)
	return in.Message, explain(fmt.Sprintf("commit %q", sha), err)
}

// Proposal is a pull request and what has become of it.
type Proposal struct {
	PullRequest
	Branch       string // of this repository
	Open, Merged bool
}

// Proposals lists the pull requests from branches of this repository into base,
// closed ones too, newest first. A branch of a fork is nobody's that may write
// here, whatever its name.
func (c *Client) Proposals(ctx context.Context, base, branchPrefix string) ([]Proposal, error) {
	all, err := pages[pull](ctx, c, "pulls", url.Values{"state": {"all"}, "base": {base}})
	if err != nil {
		return nil, explain("list pull requests", err)
	}
	owner, _, _ := strings.Cut(c.repository, "/")
	var out []Proposal
	for _, p := range all {
		if strings.HasPrefix(p.Head.Ref, branchPrefix) && p.Head.Label == owner+":"+p.Head.Ref {
			out = append(out, Proposal{PullRequest: p.PullRequest, Branch: p.Head.Ref, Open: p.State == "open",
				Merged: p.MergedAt != ""})
		}
	}
	slices.SortStableFunc(out, func(a, b Proposal) int { return b.Number - a.Number })
	return out, nil
}

// openOrAdopt adopts the branch's open pull request or opens one; GitHub refuses a
// second one of the same branch with 422, so a repetition is safe.
func (c *Client) openOrAdopt(ctx context.Context, ch Change) (pull, error) {
	pr, err := c.openPull(ctx, ch)
	if err != nil || pr.Number != 0 {
		return pr, err
	}
	err = c.idempotent(ctx, http.MethodPost, "pulls",
		map[string]string{"title": ch.Title, "head": ch.Branch, "base": ch.Base, "body": ch.Body}, &pr)
	if !rejected(err) {
		return pr, err
	}
	refusal, adopted := err, pull{}
	found, err := c.made(ctx, !exists(refusal), func() (bool, error) {
		adopted, err = c.openPull(ctx, ch)
		return adopted.Number != 0, err
	})
	if !found && err == nil {
		err = refusal
	}
	return adopted, err
}

func (c *Client) openPull(ctx context.Context, ch Change) (pull, error) {
	owner, _, _ := strings.Cut(c.repository, "/")
	query := url.Values{"state": {"open"}, "head": {owner + ":" + ch.Branch}, "base": {ch.Base}}
	open, err := pages[pull](ctx, c, "pulls", query)
	if err != nil || len(open) == 0 {
		return pull{}, err
	}
	if len(open) > 1 {
		return pull{}, &fault.Error{Code: fault.General, Message: "several open pull requests of " + ch.Branch,
			Got: open[0].HTMLURL + " and " + open[1].HTMLURL, Hint: "close all but one"}
	}
	return open[0], nil
}

// label adds the labels that the pull request lacks; adding one twice changes
// nothing. A pull request does not fail because of its labels alone.
func (c *Client) label(ctx context.Context, pr pull, labels []string) (PullRequest, error) {
	missing := slices.DeleteFunc(slices.Clone(labels), func(name string) bool {
		return slices.ContainsFunc(pr.Labels, func(l struct{ Name string }) bool { return l.Name == name })
	})
	if len(missing) == 0 {
		return pr.PullRequest, nil
	}
	err := c.idempotent(ctx, http.MethodPost, fmt.Sprintf("issues/%d/labels", pr.Number),
		map[string][]string{"labels": missing}, nil)
	if answer, answered := statusOf(err); answered && mayNotMakeLabels(answer) {
		pr.Unlabelled, err = missing, nil
	}
	return pr.PullRequest, err
}
