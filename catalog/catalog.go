// Package catalog is the compatibility catalog: which KMS versions work with
// which node-image versions, and which of these pairs were tested.
//
// Its promise: "the source of truth for deployment compatibility" is never
// rebuilt from anything else. Changing it is a pure function that adds to it,
// and what it once held it still holds.
package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/canonical"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// SchemaVersion is the only version of the catalog file.
const SchemaVersion = "1"

// File is the catalog's name, and its place in the repository unless
// COMPATIBILITY_CATALOG_PATH says otherwise.
const (
	File = "compatibility-catalog.json"
	Path = "catalog/" + File
)

// Catalog is compatibility-catalog.json. Entries are ordered newest first, by
// KMS version and then by node-image version.
type Catalog struct {
	SchemaVersion string  `json:"schema_version"`
	Entries       []Entry `json:"entries"`
}

// Entry is one pair, for some profiles. A pair of which only some profiles
// were tested has two entries: the tested one first.
type Entry struct {
	KMS       release.Version   `json:"kms"`
	NodeImage release.Version   `json:"node_image"`
	Profiles  []release.Profile `json:"profiles"` // in the spec's order
	Tested    bool              `json:"tested"`   // E2E passed for every profile listed
	Notes     string            `json:"notes"`
}

// Pair is a KMS version and the node-image version that it is used with.
type Pair struct{ KMS, NodeImage release.Version }

// PairOf is the pair of a release and its counterpart, whichever is which.
func PairOf(a, b release.Tag) Pair {
	if a.Family == release.KMS {
		return Pair{KMS: a.Version, NodeImage: b.Version}
	}
	return Pair{KMS: b.Version, NodeImage: a.Version}
}

func (e Entry) pair() Pair { return Pair{KMS: e.KMS, NodeImage: e.NodeImage} }

// Decode reads a catalog strictly and checks it; its errors have code Verification.
func Decode(data []byte) (*Catalog, error) {
	c := new(Catalog)
	if err := canonical.Unmarshal(data, c); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "not a compatibility catalog", Err: err}
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return c, nil
}

// Encode checks the catalog and renders its canonical bytes.
func (c *Catalog) Encode() ([]byte, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return canonical.Marshal(c)
}

// Find lists the entries of a pair, at most two, none when the pair is not
// listed. "An RC is matched by the version it is a candidate for."
func (c *Catalog) Find(kms, node release.Version) []Entry {
	want := Pair{KMS: kms.Final(), NodeImage: node.Final()}
	var out []Entry
	for _, e := range c.Entries {
		if e.pair() == want {
			out = append(out, e)
		}
	}
	return out
}

// Check says whether the catalog is in order, without duplicates and about
// known profiles and final versions. Its errors have code Verification.
func (c *Catalog) Check() error {
	if c.SchemaVersion != SchemaVersion {
		return broken("unknown schema_version", SchemaVersion, c.SchemaVersion)
	}
	if c.Entries == nil {
		return broken("entries is missing", "a list", "nothing")
	}
	for i, e := range c.Entries {
		if err := e.check(); err != nil {
			return fmt.Errorf("entries[%d]: %w", i, err)
		}
		if i > 0 && order(c.Entries[i-1], e) >= 0 {
			return fmt.Errorf("entries[%d]: %w", i, misplaced(c.Entries[i-1], e))
		}
		if i > 0 && c.Entries[i-1].pair() == e.pair() && overlap(c.Entries[i-1].Profiles, e.Profiles) {
			return broken("a profile of a pair is listed as tested and as not tested", "one of them", e.String())
		}
	}
	return nil
}

func (e Entry) check() error {
	if e.KMS == (release.Version{}) || e.NodeImage == (release.Version{}) {
		return broken("kms or node_image is missing", "two versions", e.String())
	}
	if e.KMS.IsCandidate() || e.NodeImage.IsCandidate() {
		return broken("a release candidate in the catalog", "the version it is a candidate for", e.String())
	}
	if len(e.Profiles) == 0 || !slices.Equal(e.Profiles, inOrder(e.Profiles)) {
		return broken("profiles are unknown, repeated or out of order", fmt.Sprint(release.Profiles()), fmt.Sprint(e.Profiles))
	}
	return nil
}

// String names the pair.
func (e Entry) String() string { return fmt.Sprintf("kms %s with node image %s", e.KMS, e.NodeImage) }

// order puts newer versions first and, within a pair, what was tested.
func order(a, b Entry) int {
	untested := func(e Entry) int {
		if e.Tested {
			return 0
		}
		return 1
	}
	return cmp.Or(newestFirst(a.pair(), b.pair()), cmp.Compare(untested(a), untested(b)))
}

func newestFirst(a, b Pair) int {
	return cmp.Or(b.KMS.Compare(a.KMS), b.NodeImage.Compare(a.NodeImage))
}

func misplaced(before, e Entry) error {
	if order(before, e) == 0 {
		return broken("an entry appears twice", "each pair once", e.String())
	}
	return broken("entries are not ordered newest first", e.String()+" before "+before.String(), "after it")
}

func overlap(a, b []release.Profile) bool {
	return slices.ContainsFunc(a, func(p release.Profile) bool { return slices.Contains(b, p) })
}

// inOrder are the known profiles among ps, each once, in the spec's order.
func inOrder(ps []release.Profile) []release.Profile {
	return slices.DeleteFunc(release.Profiles(), func(p release.Profile) bool { return !slices.Contains(ps, p) })
}

func broken(message, expected, got string) error {
	return &fault.Error{Code: fault.Verification, Message: message, Expected: expected, Got: got}
}
