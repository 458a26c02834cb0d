package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Check says whether the catalog is in order, without duplicates and about
// known profiles and final versions. Its errors have code Verification.
func (c *Catalog) Check() error {
	for _, rule := range rules() {
		if err := rule.holds(c); err != nil {
			return err
		}
	}
	return nil
}

// rule is one thing that a catalog must keep to.
type rule struct {
	name  string
	holds func(*Catalog) error
}

func rules() []rule {
	return []rule{
		{"version and entries are there", (*Catalog).checkShape},
		{"each entry names two final versions", each(Entry.checkVersions)},
		{"profiles are known, once each and in order", each(Entry.checkProfiles)},
		{"no pair is listed twice", (*Catalog).checkDuplicates},
		{"entries are ordered newest first", (*Catalog).checkOrder},
	}
}

func (c *Catalog) checkShape() error {
	if c.SchemaVersion != SchemaVersion {
		return fault.Mismatch("unknown schema_version", SchemaVersion, c.SchemaVersion)
	}
	if c.Entries == nil {
		return fault.Mismatch("entries is missing", "a list", "nothing")
	}
	return nil
}

func each(check func(Entry) error) func(*Catalog) error {
	return func(c *Catalog) error {
		for i, e := range c.Entries {
			if err := check(e); err != nil {
				return fmt.Errorf("entries[%d]: %w", i, err)
			}
		}
		return nil
	}
}

func (e Entry) check() error {
	if err := e.checkVersions(); err != nil {
		return err
	}
	return e.checkProfiles()
}

func (e Entry) checkVersions() error {
	if e.KMS == (release.Version{}) || e.NodeImage == (release.Version{}) {
		return fault.Mismatch("kms or node_image is missing", "two versions", e.String())
	}
	if e.KMS.IsCandidate() || e.NodeImage.IsCandidate() {
		return fault.Mismatch("a release candidate in the catalog", "the version it is a candidate for", e.String())
	}
	return nil
}

func (e Entry) checkProfiles() error {
	if len(e.Profiles) == 0 || !slices.Equal(e.Profiles, inOrder(e.Profiles)) {
		return fault.Mismatch("profiles are unknown, repeated or out of order",
			fmt.Sprint(release.Profiles()), fmt.Sprint(e.Profiles))
	}
	return nil
}

// checkDuplicates: a pair has one entry, or two when only some profiles were tested.
func (c *Catalog) checkDuplicates() error {
	seen := map[Pair][]Entry{}
	for i, e := range c.Entries {
		for _, o := range seen[e.pair()] {
			switch {
			case o.Tested == e.Tested:
				return fmt.Errorf("entries[%d]: %w", i, fault.Mismatch("an entry appears twice", "each pair once", e.String()))
			case overlap(o.Profiles, e.Profiles):
				return fmt.Errorf("entries[%d]: %w", i, fault.Mismatch("a profile of a pair is listed as tested and as not tested",
					"one of them", e.String()))
			}
		}
		seen[e.pair()] = append(seen[e.pair()], e)
	}
	return nil
}

func (c *Catalog) checkOrder() error {
	for i := 1; i < len(c.Entries); i++ {
		if before, e := c.Entries[i-1], c.Entries[i]; order(before, e) > 0 {
			return fmt.Errorf("entries[%d]: %w", i, fault.Mismatch("entries are not ordered newest first",
				e.String()+" before "+before.String(), "after it"))
		}
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

func overlap(a, b []release.Profile) bool {
	return slices.ContainsFunc(a, func(p release.Profile) bool { return slices.Contains(b, p) })
}

// inOrder are the known profiles among ps, each once, in the spec's order.
func inOrder(ps []release.Profile) []release.Profile {
	return slices.DeleteFunc(release.Profiles(), func(p release.Profile) bool { return !slices.Contains(ps, p) })
}

// Inspect judges a catalog file rule by rule, and that both tags of every pair
// exist; a pair that is only declared may name what is not released yet.
func Inspect(data []byte, tags []release.Tag) check.Results {
	const shape = "catalog: is a catalog, in the canonical form"
	c := new(Catalog)
	if err := canonical.Unmarshal(data, c); err != nil {
		return check.Results{check.Of(shape, &fault.Error{Code: fault.Verification, Message: "not a compatibility catalog",
			Err: err})}
	}
	out := check.Results{check.Of(shape, isCanonical(c, data))}
	for _, r := range rules() {
		out = append(out, check.Of("catalog: "+r.name, r.holds(c)))
	}
	known := map[release.Tag]bool{}
	for _, tag := range tags {
		known[tag] = true
	}
	for _, e := range c.Entries {
		out = append(out, e.exists(known))
	}
	return out
}

func isCanonical(c *Catalog, data []byte) error {
	encoded, err := canonical.Marshal(c)
	if err == nil && string(encoded) != string(data) {
		err = fault.Mismatch("written in another form",
			"two-space indented, the keys of the schema in its order, one newline at the end", "another")
	}
	return err
}

// exists says whether the two releases of a pair are there.
func (e Entry) exists(tags map[release.Tag]bool) check.Result {
	name := fmt.Sprintf("catalog: tags of %s", e)
	var missing []string
	for _, t := range []release.Tag{{Family: release.KMS, Version: e.KMS}, {Family: release.Node, Version: e.NodeImage}} {
		if !tags[t] {
			missing = append(missing, t.String())
		}
	}
	switch {
	case len(missing) == 0:
		return check.Pass(name)
	case !e.Tested:
		return check.NotApplicable(name, "declared; not released yet: "+strings.Join(missing, ", "))
	}
	return check.Fail(name, fault.Verification, "listed as tested, but there is no such tag", "both tags",
		"no "+strings.Join(missing, ", no ")).
		WithHint("correct the entry; a pair that is not released yet is declared with \"tested\": false")
}
