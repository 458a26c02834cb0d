package release

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Version is X.Y.Z or X.Y.Z-rc.N.
type Version struct {
	Major, Minor, Patch int
	Candidate           int // N of -rc.N; 0 in a final version
}

var versionForm = regexp.MustCompile(`^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(?:-rc\.([1-9]\d{0,5}))?$`)

// ParseVersion reads a version exactly ("1.2.0", not "v1.2.0").
func ParseVersion(s string) (Version, error) {
	m := versionForm.FindStringSubmatch(s)
	if m == nil {
		return Version{}, &fault.Error{Code: fault.Usage, Message: "not a version",
			Expected: "X.Y.Z or X.Y.Z-rc.N without a leading v (for example 1.2.0)", Got: fmt.Sprintf("%q", s)}
	}
	n := make([]int, 4)
	for i, digits := range m[1:] {
		n[i], _ = strconv.Atoi(digits) // the form admits digits only; an absent -rc.N stays 0
	}
	return Version{Major: n[0], Minor: n[1], Patch: n[2], Candidate: n[3]}, nil
}

// String is the version without a leading v.
func (v Version) String() string {
	if v.IsCandidate() {
		return fmt.Sprintf("%d.%d.%d-rc.%d", v.Major, v.Minor, v.Patch, v.Candidate)
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// IsCandidate says whether this is a release candidate.
func (v Version) IsCandidate() bool { return v.Candidate > 0 }

// Final is the version that a candidate is a candidate for; a final version is its own.
func (v Version) Final() Version { v.Candidate = 0; return v }

// Compare orders versions; a candidate comes before its final version.
func (v Version) Compare(o Version) int {
	candidate := func(x Version) int {
		if !x.IsCandidate() {
			return 1 << 30
		}
		return x.Candidate
	}
	return cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor),
		cmp.Compare(v.Patch, o.Patch), cmp.Compare(candidate(v), candidate(o)))
}

// MarshalText writes the version.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is ParseVersion.
func (v *Version) UnmarshalText(b []byte) error {
	parsed, err := ParseVersion(string(b))
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}

// Patches says whether v is a patch bump of o: a final version of the same X.Y
// with a higher Z. A number that was skipped does not make it something else.
func (v Version) Patches(o Version) bool {
	return !v.IsCandidate() && !o.IsCandidate() && v.Major == o.Major && v.Minor == o.Minor && v.Patch > o.Patch
}

// NextMinor is the smallest final version of the next X.Y: what newer work of main is released as.
func (v Version) NextMinor() Version { return Version{Major: v.Major, Minor: v.Minor + 1} }
