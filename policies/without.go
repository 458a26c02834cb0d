package policies

import (
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Without is the policy as it was before the node release was promoted: its
// tuples, and equal ones of other releases, are gone. An error of code
// Verification when no tuple is left.
func (p *Policy) Without(node release.Tag) (*Policy, error) {
	gone := Naming(p.Measurements, node)
	left := slices.DeleteFunc(slices.Clone(p.Measurements), func(m Measurement) bool {
		return slices.ContainsFunc(gone, func(g Measurement) bool { return g.Registers == m.Registers })
	})
	if len(left) == 0 {
		return nil, fault.Mismatch("the policy has no older measurement", "one of another node release than "+node.String(),
			fmt.Sprintf("%d, all of it", len(p.Measurements)))
	}
	return p.holding(left)
}
