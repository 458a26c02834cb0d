// Package catalog is the compatibility catalog: which KMS versions work with
// which node-image versions, and which of these pairs were tested.
//
// Its promise: "the source of truth for deployment compatibility" is never
// rebuilt from anything else. Changing it is a pure function that adds to it,
// and what it once held it still holds.
package catalog

import (
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
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
