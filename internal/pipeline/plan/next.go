package plan

import (
	"fmt"
	"maps"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Next is the next free tag of a family in a class. A candidate is one of the
// version that candidates are being made of, else of the next minor version; a
// stable release is that version itself; a hotfix is the next patch of the
// family's highest published stable release. A tag that is there is used up,
// whatever became of its release.
func Next(f release.Family, class release.Class, tags map[string]string, stable []release.Tag) (release.Tag, error) {
	newest := Subject{Tag: release.Tag{Family: f}, Stable: stable}.highest()
	used := func(v release.Version) bool {
		_, there := tags[release.Tag{Family: f, Version: v}.String()]
		return there
	}
	v := newest
	switch class {
	case release.Hotfix:
		if newest == (release.Version{}) {
			return release.Tag{}, &fault.Error{Code: fault.Verification, Message: "there is nothing that a hotfix could patch",
				Expected: "a published stable release of " + f.Title(), Got: "none",
				Hint: "go tool mage release:new -class=stable"}
		}
		for v.Patch++; used(v); v.Patch++ {
		}
	case release.Candidate:
		v = coming(f, tags, newest, used)
		for v.Candidate = 1; used(v); v.Candidate++ {
		}
	case release.Stable:
		v = coming(f, tags, newest, used)
	default:
		return release.Tag{}, &fault.Error{Code: fault.Usage, Message: "no such class",
			Expected: "stable, candidate or hotfix", Got: fmt.Sprintf("%.40q", class)}
	}
	return release.Tag{Family: f, Version: v}, nil
}

// coming is the version that candidates above the newest stable release are of, else the next minor version; where
// its stable release was begun already, the one after it.
func coming(f release.Family, tags map[string]string, newest release.Version,
	used func(release.Version) bool) release.Version {
	v := newest.NextMinor()
	candidate := release.Highest(f, maps.Keys(tags), func(v release.Version) bool {
		return v.IsCandidate() && v.Compare(newest) > 0
	})
	if !candidate.IsZero() {
		v = candidate.Version.Final()
	}
	for used(v) {
		v = v.NextMinor()
	}
	return v
}
