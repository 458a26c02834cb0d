// Package plan says which of the spec's three classes a release is, which
// rules follow from that, and what the release still lacks.
//
// Its promise: the class follows from the tag, the history and what is published.
// A patch bump of a published stable release is a hotfix or it is refused; it
// never becomes something with easier rules, and what the history does not show
// is not assumed.
package plan

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Subject is a release that is planned.
type Subject struct {
	Tag    release.Tag
	Commit string            // that it is made of
	Tags   map[string]string // every tag of the repository and its commit, of both families and of none
	// Stable are the stable releases that are published, of both families. A tag whose release failed is none.
	Stable []release.Tag
	// Public says that the tag's release is public already. It was judged before; since then main may have merged it.
	Public bool
}

// History is what a class is judged by besides the tags. Commits are hashes.
type History interface {
	// Descends says whether commit is from or comes after it.
	Descends(ctx context.Context, commit, from string) (bool, error)
	// MainWork lists the commits that to has beyond from and that the branch
	// main has too, the newest first.
	MainWork(ctx context.Context, from, to string) ([]string, error)
	// Changes lists what differs between two commits.
	Changes(ctx context.Context, from, to string) ([]git.Change, error)
}

// Decision is the class of a release with what it rests on.
type Decision struct {
	Class   release.Class
	Patched release.Tag  // the stable release that a hotfix patches; zero in the other classes
	Diff    []git.Change // of a hotfix: since Patched; none when it is the same commit, built again
	Highest bool         // no stable release of the family has a higher version
}

// Published are the stable releases that GitHub shows as such: "neither draft nor pre-release", with a final version.
// What failed its end-to-end test or was not approved is a pre-release for ever.
func Published(all []github.Release) []release.Tag {
	var out []release.Tag
	for _, r := range all {
		if tag, err := release.ParseTag(r.TagName); err == nil && tag.Stable() && !r.Draft && !r.Prerelease {
			out = append(out, tag)
		}
	}
	return out
}

// Decide finds the class of a release. A candidate is known by its tag. A final
// version whose X.Y has a published stable release with a lower Z patches the
// highest such, which must be the very one before it:
// it is a hotfix when its commit descends from that tag and has, beyond it, no
// commit that main has too, and is refused otherwise. Everything else is stable:
// also X.Y.1 when X.Y.0 failed, for there is no stable tag that it could branch
// from, and no rule of a stable release is easier than a hotfix's.
func Decide(ctx context.Context, s Subject, h History) (Decision, error) {
	if at, there := s.Tags[s.Tag.String()]; there && at != s.Commit {
		return Decision{}, &fault.Error{Code: fault.General, Message: fmt.Sprintf("%s is the tag of another commit", s.Tag),
			Expected: at, Got: s.Commit, Hint: "a tag never moves: check it out, or take the next version"}
	}
	d := Decision{Class: release.Stable, Highest: s.highest().Compare(s.Tag.Version) <= 0}
	if s.Tag.Version.IsCandidate() {
		d.Class = release.Candidate
		return d, nil
	}
	patched := s.patched()
	if patched.IsZero() {
		return d, nil
	}
	d.Class, d.Patched = release.Hotfix, patched
	if err := s.next(patched); err != nil {
		return Decision{}, err
	}
	commit, there := s.Tags[patched.String()]
	if !there {
		return Decision{}, &fault.Error{Code: fault.General,
			Message:  fmt.Sprintf("%s is released, and its tag is gone", patched),
			Expected: "the tag that a hotfix branches from", Got: "no such tag", Hint: "push the tag again, to the same commit"}
	}
	if commit == s.Commit {
		return d, nil
	}
	if err := s.branched(ctx, patched, commit, h); err != nil {
		return Decision{}, err
	}
	var err error
	d.Diff, err = h.Changes(ctx, commit, s.Commit)
	return d, err
}

// next is the spec's "X.Y.(Z+1)". A tag never moves, so the number of a release
// that failed is used up, and it alone may be left out: a line of releases does
// not end with its first failure.
func (s Subject) next(patched release.Tag) error {
	next := patched
	for next.Version.Patch++; next.Version.Patch < s.Tag.Version.Patch; next.Version.Patch++ {
		if _, used := s.Tags[next.String()]; !used {
			return &fault.Error{Code: fault.Verification,
				Message:  fmt.Sprintf("%s leaves out a number after %s", s.Tag, patched),
				Expected: next.String(), Got: s.Tag.String(),
				Hint: "a hotfix is exactly the next patch of a published stable release: tag it " + next.String()}
		}
	}
	return nil
}

// branched is the spec's "branches from the stable tag being patched".
func (s Subject) branched(ctx context.Context, patched release.Tag, commit string, h History) error {
	descends, err := h.Descends(ctx, s.Commit, commit)
	if err != nil {
		return err
	}
	if !descends {
		return s.refused(patched, fmt.Sprintf("%s is a patch of %s and does not descend from it", s.Tag, patched),
			"a commit that does not")
	}
	if s.Public {
		return nil
	}
	work, err := h.MainWork(ctx, commit, s.Commit)
	if err != nil {
		return err
	}
	if len(work) > 0 {
		return s.refused(patched, fmt.Sprintf("%s is a patch of %s and carries newer work of main", s.Tag, patched),
			fmt.Sprintf("%d commits of main, the first %.12s", len(work), work[len(work)-1]))
	}
	return nil
}

func (s Subject) refused(patched release.Tag, message, got string) error {
	return &fault.Error{Code: fault.Verification, Message: message, Got: got,
		Expected: fmt.Sprintf("a commit that branches from %s, without what main has gained since", patched),
		Hint: fmt.Sprintf("release main's work as %s; for a hotfix, git switch -c hotfix/%s %s, and cherry-pick the fix; "+
			"merge the branch into main after its release, not before",
			s.nextMinor(), s.Tag.Version, patched)}
}

// nextMinor is the number that main's work can have: above all that were tried.
func (s Subject) nextMinor() release.Tag {
	tried := release.Highest(s.Tag.Family, maps.Keys(s.Tags), func(v release.Version) bool { return !v.IsCandidate() })
	return release.Tag{Family: s.Tag.Family, Version: tried.Version.NextMinor()}
}

// patched is the highest published stable release that the release is a patch bump of; zero when there is none.
func (s Subject) patched() release.Tag { return s.published(s.Tag.Version.Patches) }

// highest is the family's highest published stable version; zero when there is none.
func (s Subject) highest() release.Version {
	return s.published(func(v release.Version) bool { return !v.IsCandidate() }).Version
}

func (s Subject) published(fits func(release.Version) bool) release.Tag {
	names := make([]string, len(s.Stable))
	for i, tag := range s.Stable {
		names[i] = tag.String()
	}
	return release.Highest(s.Tag.Family, slices.Values(names), fits)
}

// Repository is the history of the git work tree at this path.
type Repository string

// Descends asks git.
func (r Repository) Descends(ctx context.Context, commit, from string) (bool, error) {
	return git.Descends(ctx, string(r), commit, from)
}

// MainWork asks git about origin/main and main.
func (r Repository) MainWork(ctx context.Context, from, to string) ([]string, error) {
	return git.MainWork(ctx, string(r), from, to)
}

// Changes asks git.
func (r Repository) Changes(ctx context.Context, from, to string) ([]git.Change, error) {
	return git.Changes(ctx, string(r), from, to)
}
