package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

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
