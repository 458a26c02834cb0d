package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Release is GitHub's record of a release, draft or public.
type Release struct {
	ID              int64   `json:"id"`
	TagName         string  `json:"tag_name"`
	TargetCommitish string  `json:"target_commitish"` // where GitHub would make the tag if it were not there
	Name            string  `json:"name"`
	Body            string  `json:"body"`
	Draft           bool    `json:"draft"`
	Prerelease      bool    `json:"prerelease"`
	Immutable       bool    `json:"immutable"`
	UploadURL       string  `json:"upload_url"` // an RFC 6570 template
	HTMLURL         string  `json:"html_url"`
	Assets          []Asset `json:"assets"`
}

// Draft is what a new draft release of a tag that is there is made of. It has no
// target: GitHub lets nobody without the right to change workflow files create or
// edit a release whose target has other ones than the default branch, and a
// job's token cannot have that right.
type Draft struct {
	Tag   string
	Title string
	Notes string // Markdown
}

// Patch changes a release; nil and empty fields stay as they are.
type Patch struct {
	Draft      *bool   `json:"draft,omitempty"`
	Prerelease *bool   `json:"prerelease,omitempty"`
	MakeLatest string  `json:"make_latest,omitempty"` // "true", "false" or "legacy": a string, also in JSON
	Name       *string `json:"name,omitempty"`
	Body       *string `json:"body,omitempty"`
}

// Releases lists all releases; drafts are among them when the token may write.
// One that is made meanwhile moves the others, of which one comes twice then.
func (c *Client) Releases(ctx context.Context) ([]Release, error) {
	all, err := pages[Release](ctx, c, "releases", url.Values{})
	seen := map[int64]bool{}
	all = slices.DeleteFunc(all, func(r Release) bool {
		twice := seen[r.ID]
		seen[r.ID] = true
		return twice
	})
	return all, explain("list releases", err)
}

// Release reads one release with all of its assets. GitHub gave the id, so that a 404 is asked again for a while.
func (c *Client) Release(ctx context.Context, id int64) (r *Release, err error) {
	err = c.late(ctx, func() (err error) {
		r, err = c.release(ctx, fmt.Sprintf("releases/%d", id), fmt.Sprintf("release %d", id))
		return err
	})
	return r, err
}

// ReleaseByTag finds the public release of a tag. GitHub hides drafts here
// (ErrNotFound); Releases lists them.
func (c *Client) ReleaseByTag(ctx context.Context, tag string) (*Release, error) {
	return c.release(ctx, "releases/tags/"+segment(tag), fmt.Sprintf("release %q", tag))
}

// Latest is the release that GitHub shows as the latest; ErrNotFound when there is none.
func (c *Client) Latest(ctx context.Context) (*Release, error) {
	return c.release(ctx, "releases/latest", "latest release")
}

func (c *Client) release(ctx context.Context, path, doing string) (*Release, error) {
	r := &Release{}
	if err := c.idempotent(ctx, http.MethodGet, path, nil, r); err != nil {
		return nil, explain(doing, err)
	}
	// The list has pages, the embedded array has an end that GitHub does not document.
	assets, err := pages[Asset](ctx, c, fmt.Sprintf("releases/%d/assets", r.ID), url.Values{})
	if err != nil {
		return nil, explain(doing+": assets", err)
	}
	r.Assets = assets
	return r, nil
}

// CreateDraft makes a draft pre-release. When an attempt's answer is lost, the
// draft is looked up by tag, title and notes before another is made.
func (c *Client) CreateDraft(ctx context.Context, d Draft) (*Release, error) {
	made := &Release{}
	var lost error
	err := c.retry(ctx, func(attempt int) error {
		if attempt > 0 {
			found, err := c.made(ctx, refusedOutright(lost), func() (bool, error) {
				draft, err := c.findDraft(ctx, d)
				if draft != nil {
					made = draft
				}
				return draft != nil, err
			})
			if found || err != nil {
				return err
			}
		}
		lost = c.call(ctx, http.MethodPost, "releases", map[string]any{"tag_name": d.Tag, "name": d.Title,
			"body": d.Notes, "draft": true, "prerelease": true, "make_latest": "false"}, made)
		return lost
	})
	if err != nil {
		return nil, explainWrite(fmt.Sprintf("create draft release %q", d.Tag), err)
	}
	return made, nil
}

// refusedOutright says that a request had no effect: GitHub asked to be left alone for a while.
func refusedOutright(err error) bool {
	answer, ok := statusOf(err)
	return ok && limited(answer)
}

func (c *Client) findDraft(ctx context.Context, d Draft) (*Release, error) {
	all, err := c.Releases(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		r := &all[i]
		if r.Draft && r.TagName == d.Tag && r.Name == d.Title && strings.ReplaceAll(r.Body, "\r\n", "\n") == d.Notes {
			return r, nil
		}
	}
	return nil, nil
}

// Update changes a release and returns it as GitHub has it then, without assets' pages.
func (c *Client) Update(ctx context.Context, id int64, p Patch) (*Release, error) {
	if p == (Patch{}) {
		return nil, &fault.Error{Code: fault.Usage, Message: "an update that changes nothing"}
	}
	r := &Release{}
	if err := c.idempotent(ctx, http.MethodPatch, fmt.Sprintf("releases/%d", id), p, r); err != nil {
		return nil, explainWrite(fmt.Sprintf("update release %d", id), err)
	}
	return r, nil
}
