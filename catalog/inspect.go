package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Inspect judges a catalog file rule by rule, and that both tags of every pair
// exist; a pair that is only declared may name what is not released yet.
func Inspect(data []byte, tags []release.Tag) check.Results {
	const shape = "catalog: is a catalog, in the canonical form"
	c := new(Catalog)
	if err := canonical.Unmarshal(data, c); err != nil {
		return check.Results{check.Of(shape, &fault.Error{Code: fault.Verification, Message: "not a compatibility catalog", Err: err})}
	}
	out := check.Results{check.Of(shape, isCanonical(c, data))}
	for _, r := range rules() {
		out = append(out, check.Of("catalog: "+r.name, r.holds(c)))
	}
	for _, e := range c.Entries {
		out = append(out, e.exists(tags))
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
func (e Entry) exists(tags []release.Tag) check.Result {
	name := fmt.Sprintf("catalog: tags of %s", e)
	var missing []string
	for _, t := range []release.Tag{{Family: release.KMS, Version: e.KMS}, {Family: release.Node, Version: e.NodeImage}} {
		if !slices.Contains(tags, t) {
			missing = append(missing, t.String())
		}
	}
	switch {
	case len(missing) == 0:
		return check.Pass(name)
	case !e.Tested:
		return check.NotApplicable(name, "declared; not released yet: "+strings.Join(missing, ", "))
	}
	return check.Fail(name, fault.Verification, "listed as tested, but there is no such tag", "both tags", "no "+strings.Join(missing, ", no ")).
		WithHint("correct the entry; a pair that is not released yet is declared with \"tested\": false")
}
