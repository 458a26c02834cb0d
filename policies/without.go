package policies

import (
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Without is the policy as it was before the node release was promoted: its
// tuples, and equal ones of other releases, are gone. An error of code
// Verification when no tuple is left.
func (p *Policy) Without(node release.Tag) (*Policy, error) {
	var gone []Measurement
	for _, m := range p.Measurements {
		if m.NodeRelease == node {
			gone = append(gone, m)
		}
	}
	left := slices.DeleteFunc(slices.Clone(p.Measurements), func(m Measurement) bool {
		return slices.ContainsFunc(gone, func(g Measurement) bool { return g.Registers == m.Registers })
	})
	if len(left) == 0 {
		return nil, broken("the policy has no older measurement", "one of another node release than "+node.String(),
			fmt.Sprintf("%d, all of it", len(p.Measurements)))
	}
	out, lists := *p, flatten(left)
	out.Measurements = left
	out.AllowedMRTD, out.AllowedRTMR0, out.AllowedRTMR1, out.AllowedRTMR2, out.AllowedRTMR3 = lists[0], lists[1], lists[2], lists[3], lists[4]
	return &out, out.Check()
}
