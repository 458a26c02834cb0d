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

// MakePublic turns the draft into a public pre-release that is never the latest,
// and waits until it is seen. rel is the draft as it was audited: before and
// after, GitHub's digests must be the ones in rel. A release that is public
// already is only compared.
func (p *Publisher) MakePublic(ctx context.Context, rel *github.Release) (*github.Release, error) {
	audited := Digests(rel)
	now, err := p.unchanged(ctx, rel.ID, audited)
	if err != nil {
		return nil, err
	}
	if now.Draft {
		err = p.publish(ctx, now)
	} else {
		err = p.seen(ctx, now)
	}
	if err != nil {
		return nil, err
	}
	return p.unchanged(ctx, rel.ID, audited)
}

// publish lets the tag lead to the draft's commit before and after.
func (p *Publisher) publish(ctx context.Context, now *github.Release) error {
	commit := madeFor(now)
	if commit == "" {
		return otherDraft(now, "a commit")
	}
	if err := p.tagAt(ctx, now.TagName, commit); err != nil {
		return err
	}
	no, yes := false, true
	err := p.Journal.Do(journal.Publication, now.TagName, func() error {
		_, err := p.GitHub.Update(ctx, now.ID, github.Patch{Draft: &no, Prerelease: &yes, MakeLatest: "false"})
		return err
	})
	if err != nil {
		return err
	}
	if err := p.seen(ctx, now); err != nil {
		return err
	}
	return p.tagAt(ctx, now.TagName, commit)
}

// seen waits until everybody sees a release that was just published: by its id
// and by its tag, in the list, and its tag.
func (p *Publisher) seen(ctx context.Context, rel *github.Release) error {
	public := func(r github.Release) bool { return r.ID == rel.ID && !r.Draft }
	ways := []func() (bool, error){
		func() (bool, error) {
			there, err := p.GitHub.Release(ctx, rel.ID)
			return err == nil && public(*there), err
		},
		func() (bool, error) {
			there, err := p.GitHub.ReleaseByTag(ctx, rel.TagName)
			return err == nil && public(*there), err
		},
		func() (bool, error) {
			_, err := p.GitHub.TagCommit(ctx, rel.TagName)
			return err == nil, err
		},
		func() (bool, error) {
			all, err := p.GitHub.Releases(ctx)
			return slices.ContainsFunc(all, public), err
		},
	}
	return p.GitHub.Await(ctx, "the publication of "+rel.TagName, func() (bool, error) {
		everywhere := true
		for _, way := range ways { // each is late for itself
			ok, err := way()
			if err != nil && !errors.Is(err, github.ErrNotFound) {
				return false, err
			}
			everywhere = everywhere && ok
		}
		return everywhere, nil
	})
}

// Promote ends a stable release's time as a pre-release and makes it the latest,
// unless a higher version of its family is out already (a hotfix of an older
// line). digests are the audit's, name to "sha256:…": GitHub's own must equal
// them before and after. approval is the section that says who approved it, and
// becomes the last of its notes with the same request. A promoted release is only
// compared; a release candidate is refused ("RCs end as pre-releases by design").
func (p *Publisher) Promote(ctx context.Context, rel *github.Release, digests map[string]string,
	approval string) (*github.Release, error) {
	tag, err := release.ParseTag(rel.TagName)
	if err != nil {
		return nil, err
	}
	if !tag.Stable() {
		return nil, &fault.Error{Code: fault.Usage, Message: "a release candidate stays a pre-release",
			Expected: "a stable tag", Got: rel.TagName}
	}
	now, err := p.unchanged(ctx, rel.ID, digests)
	if err != nil {
		return nil, err
	}
	if now.Draft { // GitHub may know it late
		if now, err = p.GitHub.ReleaseByTag(ctx, rel.TagName); err != nil || now.ID != rel.ID {
			return nil, fault.Mismatch("promotion of "+rel.TagName, "a public pre-release", "a draft")
		}
	}
	if !now.Prerelease {
		return now, nil
	}
	latest, err := p.latest(ctx, tag)
	if err != nil {
		return nil, err
	}
	no, body := false, approvedNotes(now.Body, approval)
	err = p.Journal.Do(journal.Promotion, rel.TagName, func() error {
		_, err := p.GitHub.Update(ctx, rel.ID, github.Patch{Prerelease: &no, MakeLatest: latest, Body: &body})
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.unchanged(ctx, rel.ID, digests)
}

// approvedNotes puts the section before the last line, which names the commit.
func approvedNotes(body, approval string) string {
	body = strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), "\n")
	at := 0
	if found := commitLine.FindAllStringIndex(body, -1); len(found) > 0 {
		at = found[len(found)-1][0]
	} else {
		body = "\n" + body // somebody wrote it anew; nothing is lost
	}
	return body[:at] + strings.TrimRight(approval, "\n") + "\n\n" + body[at:] + "\n"
}

// latest is GitHub's make_latest: "false" when a higher version of the family is promoted.
func (p *Publisher) latest(ctx context.Context, tag release.Tag) (string, error) {
	all, err := p.GitHub.Releases(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range all {
		other, err := release.ParseTag(r.TagName)
		full := err == nil && !r.Draft && !r.Prerelease
		if full && other.Family == tag.Family && other.Version.Compare(tag.Version) > 0 {
			return "false", nil
		}
	}
	return "true", nil
}

// Digests are GitHub's own digests of a release's assets, by name.
func Digests(rel *github.Release) map[string]string {
	out := make(map[string]string, len(rel.Assets))
	for _, a := range rel.Assets {
		out[a.Name] = a.Digest
	}
	return out
}

// unchanged reads the release and compares GitHub's digests with the audited ones.
func (p *Publisher) unchanged(ctx context.Context, id int64, audited map[string]string) (*github.Release, error) {
	now, err := p.GitHub.Release(ctx, id)
	if err != nil {
		return nil, err
	}
	there := Digests(now)
	for _, name := range sorted(audited) {
		got, found := there[name]
		delete(there, name)
		switch {
		case !found:
			return nil, &fault.Error{Code: fault.MissingAsset, Message: "an audited asset is gone from " + now.TagName,
				Expected: name, Got: "none"}
		case got == "" || got != audited[name]:
			return nil, &fault.Error{Code: fault.Verification,
				Message:  fmt.Sprintf("%s of %s changed after its audit", name, now.TagName),
				Expected: audited[name], Got: got, Hint: "nothing may change between audit and promotion: look at " + now.HTMLURL}
		}
	}
	if extra := sorted(there); len(extra) > 0 {
		return nil, fault.Mismatch("assets were added to "+now.TagName+" after its audit",
			"only audited assets", strings.Join(extra, ", "))
	}
	return now, nil
}
