// Package publish brings a release to GitHub in three idempotent moves: Fill a
// draft, MakePublic as a pre-release, Promote. The tag is there before and does
// not move; the draft says in its notes which commit it was made for.
//
// Its promise: killed at any instant and run again, a move ends in the same
// release with the same bytes and nothing left over; bytes that differ are an
// error, never overwritten; no move changes a release whose assets are not
// exactly the ones that were audited; and no request that changes something
// leaves before its intent is in the journal.
package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
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

// commitLine is the last line of a release's notes.
var commitLine = regexp.MustCompile(`(?m)^Built from commit ([0-9a-f]{40})\.\r?$`)

// notes are the plan's, and the commit.
func (plan Plan) notes() string {
	return strings.TrimRight(plan.Notes, "\n") + "\n\nBuilt from commit " + plan.Commit + ".\n"
}

// madeFor is the commit that a release says it was made for; empty when it says
// none. People's text and subjects of commits come before our line.
func madeFor(rel *github.Release) string {
	found := commitLine.FindAllStringSubmatch(rel.Body, -1)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1][1]
}

// adopt finds the one release of the tag or makes a draft.
func (p *Publisher) adopt(ctx context.Context, plan Plan) (*github.Release, error) {
	if err := p.tagAt(ctx, plan.Tag.String(), plan.Commit); err != nil {
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
		rel, err = p.GitHub.CreateDraft(ctx, github.Draft{Tag: plan.Tag.String(), Title: plan.Title, Notes: plan.notes()})
		return err
	})
	return rel, err
}

// owned refuses a draft of the same tag that was made for another commit. A
// public release has the tag, which was compared.
func (p *Publisher) owned(ctx context.Context, rel *github.Release, plan Plan) (*github.Release, error) {
	if rel.Draft && madeFor(rel) != plan.Commit {
		return nil, otherDraft(rel, plan.Commit)
	}
	return p.GitHub.Release(ctx, rel.ID)
}

func otherDraft(rel *github.Release, commit string) error {
	got := "it names none"
	if named := madeFor(rel); named != "" {
		got = named
	}
	return &fault.Error{Code: fault.Verification,
		Message:  fmt.Sprintf("the draft release of %s was not made for this commit", rel.TagName),
		Expected: commit + ", on the last line of its notes", Got: got,
		Hint: "delete the draft if it is not wanted: " + rel.HTMLURL}
}

// tagAt is nil when the tag leads to the commit. A tag may have been pushed a
// moment ago.
func (p *Publisher) tagAt(ctx context.Context, tag, commit string) error {
	var there string
	err := p.GitHub.Await(ctx, "tag "+tag, func() (ok bool, err error) {
		there, err = p.GitHub.TagCommit(ctx, tag)
		return err == nil, err
	})
	if errors.Is(err, github.ErrNotFound) {
		return &fault.Error{Code: fault.Verification, Message: fmt.Sprintf("tag %s is not on GitHub", tag),
			Expected: commit, Got: "no such tag", Err: err, Hint: "push it first: git push origin " + tag}
	}
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
		found = append(found, fmt.Sprintf("%s (id %d, draft %t, commit %s)", r.HTMLURL, r.ID, r.Draft,
			cmp.Or(madeFor(&r), "unknown")))
	}
	return &fault.Error{Code: fault.Verification, Message: fmt.Sprintf("GitHub holds several releases of %s", tag),
		Expected: "one", Got: strings.Join(found, ", "), Hint: "delete the drafts that are not wanted"}
}

// describe brings title and notes of a draft up to date; a public release keeps its own.
func (p *Publisher) describe(ctx context.Context, rel *github.Release, plan Plan) error {
	if !rel.Draft || rel.Name == plan.Title && rel.Body == plan.notes() {
		return nil
	}
	notes := plan.notes()
	return p.Journal.Do(journal.Draft, rel.TagName, func() error {
		_, err := p.GitHub.Update(ctx, rel.ID, github.Patch{Name: &plan.Title, Body: &notes})
		return err
	})
}
