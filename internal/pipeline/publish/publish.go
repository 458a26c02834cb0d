// Package publish brings a release to GitHub in three idempotent moves: Fill a
// draft, MakePublic as a pre-release, Promote.
//
// Its promise: killed at any instant and run again, a move ends in the same
// release with the same bytes and nothing left over; bytes that differ are an
// error, never overwritten; no move changes a release whose assets are not
// exactly the ones that were audited; and no request that changes something
// leaves before its intent is in the journal.
package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Plan is a release as it shall be.
type Plan struct {
	Tag    release.Tag
	Commit string // 40 hex digits: the commit that the tag names
	Title  string
	Notes  string   // Markdown
	Dir    string   // where the assets are staged
	Names  []string // every asset, no other
}

// Result tells what Fill did, in the order of the names.
type Result struct {
	Uploaded, Kept []string
}

// Publisher publishes through one client.
type Publisher struct {
	GitHub  *github.Client
	Journal journal.Journal
}

// Fill creates or adopts the draft of the plan's tag and commit and uploads what
// is missing. A release that is public already is only compared.
// Code 10: other bytes, another commit, an asset too many or several releases of
// the tag. Code 11: a staged file, or an asset of a public release, is missing.
func (p *Publisher) Fill(ctx context.Context, plan Plan) (*github.Release, Result, error) {
	files, err := staged(plan)
	if err != nil {
		return nil, Result{}, err
	}
	rel, err := p.adopt(ctx, plan)
	if err != nil {
		return nil, Result{}, err
	}
	todo, err := p.compare(ctx, rel, files)
	if err != nil {
		return nil, Result{}, err
	}
	if err := p.describe(ctx, rel, plan); err != nil {
		return nil, Result{}, err
	}
	result, err := p.upload(ctx, rel, files, todo)
	if err != nil {
		return nil, result, err
	}
	rel, err = p.GitHub.Release(ctx, rel.ID)
	return rel, result, err
}

// adopt finds the one release of the tag or makes a draft.
func (p *Publisher) adopt(ctx context.Context, plan Plan) (*github.Release, error) {
	if err := p.tagAt(ctx, plan.Tag.String(), plan.Commit); err != nil && !errors.Is(err, github.ErrNotFound) {
		return nil, err
	}
	all, err := p.GitHub.Releases(ctx)
	if err != nil {
		return nil, err
	}
	ours := slices.DeleteFunc(all, func(r github.Release) bool { return r.TagName != plan.Tag.String() })
	switch len(ours) {
	case 0:
		return p.create(ctx, plan)
	case 1:
		return p.owned(ctx, &ours[0], plan)
	}
	return nil, several(plan.Tag, ours)
}

func (p *Publisher) create(ctx context.Context, plan Plan) (rel *github.Release, err error) {
	err = p.Journal.Do(journal.Draft, plan.Tag.String(), func() error {
		rel, err = p.GitHub.CreateDraft(ctx, github.Draft{Tag: plan.Tag.String(), Commit: plan.Commit, Title: plan.Title,
			Notes: plan.Notes})
		return err
	})
	return rel, err
}

// owned refuses a release of the same tag that was made for another commit.
func (p *Publisher) owned(ctx context.Context, rel *github.Release, plan Plan) (*github.Release, error) {
	if rel.Draft && rel.TargetCommitish != plan.Commit {
		return nil, &fault.Error{Code: fault.Verification,
			Message:  fmt.Sprintf("the draft release of %s was made for another commit", plan.Tag),
			Expected: plan.Commit, Got: rel.TargetCommitish, Hint: "delete the draft if it is not wanted: " + rel.HTMLURL}
	}
	if !rel.Draft {
		if err := p.tagAt(ctx, rel.TagName, plan.Commit); err != nil {
			return nil, err
		}
	}
	return p.GitHub.Release(ctx, rel.ID)
}

// tagAt is nil when the tag leads to the commit.
func (p *Publisher) tagAt(ctx context.Context, tag, commit string) error {
	there, err := p.GitHub.TagCommit(ctx, tag)
	if err != nil || there == commit {
		return err
	}
	return &fault.Error{Code: fault.Verification, Message: fmt.Sprintf("tag %s names another commit on GitHub", tag),
		Expected: commit, Got: there,
		Hint: "a tag never moves; release the next version"}
}

func several(tag release.Tag, ours []github.Release) error {
	var found []string
	for _, r := range ours {
		found = append(found, fmt.Sprintf("%s (id %d, draft %t, commit %s)", r.HTMLURL, r.ID, r.Draft, r.TargetCommitish))
	}
	return &fault.Error{Code: fault.Verification, Message: fmt.Sprintf("GitHub holds several releases of %s", tag),
		Expected: "one", Got: strings.Join(found, ", "), Hint: "delete the drafts that are not wanted"}
}

// describe brings title and notes of a draft up to date; a public release keeps its own.
func (p *Publisher) describe(ctx context.Context, rel *github.Release, plan Plan) error {
	if !rel.Draft || rel.Name == plan.Title && rel.Body == plan.Notes {
		return nil
	}
	return p.Journal.Do(journal.Draft, rel.TagName, func() error {
		_, err := p.GitHub.Update(ctx, rel.ID, github.Patch{Name: &plan.Title, Body: &plan.Notes})
		return err
	})
}
