package policies

import "slices"

// With is the policy once a node release is promoted into it: it admits the
// release's nodes too. A policy that does already is returned as it is.
func (p *Policy) With(node Evidence) (*Policy, error) {
	m, err := node.measurement(p.Profile)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(p.Measurements, func(o Measurement) bool { return o.Registers == m.Registers }) {
		return p, nil
	}
	tuples := append(slices.Clone(p.Measurements), m)
	out, lists := *p, flatten(tuples)
	out.Measurements = tuples
	out.AllowedMRTD, out.AllowedRTMR0, out.AllowedRTMR1, out.AllowedRTMR2, out.AllowedRTMR3 = lists[0], lists[1], lists[2], lists[3], lists[4]
	return &out, out.Check()
}
