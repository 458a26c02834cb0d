// Package release knows what a release is called and what it is made of:
// families, profiles, versions, tags, classes and the assets each must have.
//
// Its promise: every other package asks here, so a name or an expected file is
// written down once. It imports nothing of this repository but fault.
package release

import (
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Family is one of the two kinds of release; its value is the tag's prefix without "-v".
type Family string

// The two families of the spec.
const (
	KMS  Family = "mero-kms" // the key service's container, for Phala dstack
	Node Family = "mero-tee" // the GCP TDX node images
)

// Families lists both.
func Families() []Family { return []Family{KMS, Node} }

// Counterpart is the family that f is released with.
func (f Family) Counterpart() Family {
	if f == KMS {
		return Node
	}
	return KMS
}

// Short is the family's name in commands: the steps of a key service release are kms:build, kms:sign and so on.
func (f Family) Short() string {
	if f == KMS {
		return "kms"
	}
	return "node"
}

// Title is the family's name in sentences.
func (f Family) Title() string {
	if f == KMS {
		return "the key service"
	}
	return "the node images"
}

// Workflow is the file name of the workflow that may sign releases of the family.
func (f Family) Workflow() string {
	if f == KMS {
		return "release-kms-phala.yaml"
	}
	return "release-node-image-gcp.yaml"
}

// VersionVariable is the repository variable that guard 2 compares the tag with.
func (f Family) VersionVariable() string {
	if f == KMS {
		return "MERO_KMS_VERSION"
	}
	return "MERO_TEE_VERSION"
}

// Profile is one of the three hardening profiles.
type Profile string

// The three profiles, from the most open to the closed one.
const (
	Debug          Profile = "debug"
	DebugReadOnly  Profile = "debug-read-only"
	LockedReadOnly Profile = "locked-read-only"
)

// Profiles lists all three in the spec's order.
func Profiles() []Profile { return []Profile{Debug, DebugReadOnly, LockedReadOnly} }

// ProfileList is profiles for a person: "debug, locked-read-only".
func ProfileList(profiles []Profile) string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

// ParseProfile accepts exactly the three names.
func ParseProfile(s string) (Profile, error) {
	if p := Profile(s); slices.Contains(Profiles(), p) {
		return p, nil
	}
	return "", &fault.Error{Code: fault.Usage, Message: "unknown profile",
		Expected: "debug, debug-read-only or locked-read-only", Got: fmt.Sprintf("%q", s)}
}

// Tag is a release's name: family and version.
type Tag struct {
	Family  Family
	Version Version
}

// ParseTag reads "mero-kms-vX.Y.Z" or "mero-tee-vX.Y.Z", each with an optional "-rc.N".
func ParseTag(s string) (Tag, error) {
	for _, f := range Families() {
		rest, ok := strings.CutPrefix(s, string(f)+"-v")
		if !ok {
			continue
		}
		v, err := ParseVersion(rest)
		if err != nil {
			break
		}
		return Tag{Family: f, Version: v}, nil
	}
	return Tag{}, &fault.Error{Code: fault.Usage, Message: "not a release tag",
		Expected: "mero-kms-vX.Y.Z or mero-tee-vX.Y.Z, optionally followed by -rc.N", Got: fmt.Sprintf("%q", s),
		Hint: "for example: mero-kms-v1.2.0 or mero-kms-v1.2.0-rc.1"}
}

// String is the tag as git and GitHub know it.
func (t Tag) String() string { return fmt.Sprintf("%s-v%s", t.Family, t.Version) }

// IsZero says that no tag was set.
func (t Tag) IsZero() bool { return t == Tag{} }

// Stable says whether the rules of stable releases apply (hotfixes are stable releases too).
func (t Tag) Stable() bool { return !t.Version.IsCandidate() }

// MarshalText writes the tag's name.
func (t Tag) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is ParseTag.
func (t *Tag) UnmarshalText(b []byte) error {
	parsed, err := ParseTag(string(b))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// Class is one of the spec's three release classes: "each class has distinct
// operational rules, tagging conventions, and minimum release-note content".
type Class string

// The three classes. A hotfix is told from a stable release by the history, not
// by the tag alone.
const (
	Stable    Class = "stable"
	Candidate Class = "candidate"
	Hotfix    Class = "hotfix"
)

// Highest is the family's tag of the highest version that fits, among names
// which may be anything; the zero Tag when there is none.
func Highest(f Family, names iter.Seq[string], fits func(Version) bool) Tag {
	var highest Tag
	for name := range names {
		t, err := ParseTag(name)
		if err != nil || t.Family != f || !fits(t.Version) {
			continue
		}
		if highest.IsZero() || t.Version.Compare(highest.Version) > 0 {
			highest = t
		}
	}
	return highest
}

// GitHub's rules for owners and repositories, so that a repository is always two path segments.
var repositoryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// ValidRepository says whether the name can be that of a repository on GitHub, "owner/name".
func ValidRepository(name string) bool { return repositoryForm.MatchString(name) }
