// Package plan says which of the spec's three classes a release is, which
// rules follow from that, and what the release still lacks.
//
// Its promise: the class follows from the tag and the history alone. A patch
// bump is a hotfix or it is refused; it never becomes something with easier
// rules, and what the history does not show is not assumed.
package plan

import (
	"context"
	"fmt"
	"maps"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Subject is a release that is planned.
type Subject struct {
	Tag    release.Tag
	Commit string            // that it is made of
	Tags   map[string]string // every tag of the repository and its commit, of both families and of none
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

// Decide finds the class of a release. A candidate is known by its tag. A final
// version whose X.Y has a stable tag with a lower Z patches the highest such,
// which must be the very one before it:
// it is a hotfix when its commit descends from that tag and has, beyond it, no
// commit that main has too, and is refused otherwise. Everything else
// is stable.
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
	if s.Tag.Version.Patch != patched.Version.Patch+1 {
		next := patched
		next.Version.Patch++
		return Decision{}, &fault.Error{Code: fault.Verification,
			Message:  fmt.Sprintf("%s leaves out a number after %s", s.Tag, patched),
			Expected: next.String(), Got: s.Tag.String(), Hint: "a hotfix is exactly the next patch of a stable release"}
	}
	commit := s.Tags[patched.String()]
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
	next := release.Tag{Family: s.Tag.Family, Version: s.highest().NextMinor()}
	return &fault.Error{Code: fault.Verification, Message: message, Got: got,
		Expected: fmt.Sprintf("a commit that branches from %s, without what main has gained since", patched),
		Hint: fmt.Sprintf("release main's work as %s; for a hotfix, git switch -c hotfix/%s %s, and cherry-pick the fix; "+
			"merge the branch into main after its release, not before",
			next, s.Tag.Version, patched)}
}

// patched is the highest stable tag that the release is a patch bump of; zero when there is none.
func (s Subject) patched() release.Tag {
	return release.Highest(s.Tag.Family, maps.Keys(s.Tags), s.Tag.Version.Patches)
}

// highest is the family's highest stable version; zero when there is none.
func (s Subject) highest() release.Version {
	return release.Highest(s.Tag.Family, maps.Keys(s.Tags),
		func(v release.Version) bool { return !v.IsCandidate() }).Version
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
