package plan

import (
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Next is the next free tag of a family in a class. A candidate is one of the
// version that candidates are being made of, else of the next minor version; a
// stable release is that version itself; a hotfix is the next patch of the
// family's highest published stable release. A tag that is there is used up,
// whatever became of its release.
func Next(f release.Family, class release.Class, tags map[string]string, stable []release.Tag) (release.Tag, error) {
	newest := release.Tag{Family: f}
	for _, t := range stable {
		if t.Family == f && t.Version.Compare(newest.Version) > 0 {
			newest = t
		}
	}
	used := func(v release.Version) bool {
		_, there := tags[release.Tag{Family: f, Version: v}.String()]
		return there
	}
	v := newest.Version
	switch class {
	case release.Hotfix:
		if v == (release.Version{}) {
			return release.Tag{}, &fault.Error{Code: fault.Verification, Message: "there is nothing that a hotfix could patch",
				Expected: "a published stable release of " + f.Title(), Got: "none",
				Hint: "go tool mage release:new -class=stable"}
		}
		for v.Patch++; used(v); v.Patch++ {
		}
	case release.Candidate:
		v = candidateOf(f, tags, newest.Version, used)
	case release.Stable:
		v = coming(f, tags, newest.Version)
		for used(v) {
			v = v.NextMinor()
		}
	default:
		return release.Tag{}, &fault.Error{Code: fault.Usage, Message: "no such class",
			Expected: "stable, candidate or hotfix", Got: fmt.Sprintf("%.40q", class)}
	}
	return release.Tag{Family: f, Version: v}, nil
}

// coming is the version that candidates above the newest stable release are of, else the next minor version.
func coming(f release.Family, tags map[string]string, newest release.Version) release.Version {
	candidates := candidatesAbove(f, tags, newest)
	if len(candidates) == 0 {
		return newest.NextMinor()
	}
	return slices.MaxFunc(candidates, release.Version.Compare).Final()
}

func candidateOf(f release.Family, tags map[string]string, newest release.Version,
	used func(release.Version) bool) release.Version {
	v := coming(f, tags, newest)
	for used(v) { // its stable release was begun, so a candidate of it would come too late
		v = v.NextMinor()
	}
	for v.Candidate = 1; used(v); v.Candidate++ {
	}
	return v
}

func candidatesAbove(f release.Family, tags map[string]string, newest release.Version) []release.Version {
	var out []release.Version
	for name := range tags {
		t, err := release.ParseTag(name)
		if err == nil && t.Family == f && t.Version.IsCandidate() && t.Version.Compare(newest) > 0 {
			out = append(out, t.Version)
		}
	}
	return out
}
