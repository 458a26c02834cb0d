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
	return p.holding(append(slices.Clone(p.Measurements), m))
}
