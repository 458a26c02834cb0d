package policies

import (
	"crypto/sha512"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Generate derives the policy of a KMS release: the promoted tuples and the
// counterpart's, less the revoked ones. A stable version takes only what was
// promoted and fails otherwise (code Verification); a release candidate whose
// counterpart is not promoted yet carries its tuple with policy_not_ready.
func Generate(w *Working, kms release.Version, counterpart Evidence) (*Policy, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	tuples := w.Standing()
	candidate, err := w.candidate(counterpart)
	if err != nil {
		return nil, err
	}
	status := Status("")
	if candidate == nil || !slices.ContainsFunc(tuples, candidate.Same) {
		if !kms.IsCandidate() {
			return nil, w.notPromoted(kms, counterpart.Tag)
		}
		status = NotReady
		if candidate != nil {
			tuples = append(tuples, *candidate)
		}
	}
	return assemble(w, kms, status, tuples)
}

// Standing are the promoted tuples that are not revoked.
func (w *Working) Standing() []Measurement {
	out := make([]Measurement, 0, len(w.Measurements)+1)
	for _, m := range w.Measurements {
		if w.Revocation(m.Registers) == nil {
			out = append(out, m)
		}
	}
	return out
}

func (w *Working) notPromoted(kms release.Version, counterpart release.Tag) error {
	name := "a node release"
	if !counterpart.IsZero() {
		name = counterpart.String()
	}
	return &fault.Error{Code: fault.Verification,
		Message:  fmt.Sprintf("no promoted %s measurement for KMS %s", w.Profile, kms),
		Expected: fmt.Sprintf("the measurement of %s in policies/%s", name, File(w.Profile)),
		Got:      fmt.Sprintf("%d others", len(w.Standing())),
		Hint:     "policy:promote"}
}

func assemble(w *Working, kms release.Version, status Status, tuples []Measurement) (*Policy, error) {
	head := Policy{SchemaVersion: SchemaVersion, KMSVersion: kms, Profile: w.Profile, Status: status,
		AllowedTCBStatus: slices.Clone(w.AllowedTCBStatus), TCBWaivers: slices.Clone(w.TCBWaivers)}
	return head.holding(tuples)
}

// holding is the policy with these tuples and the flat lists that agree with them, checked.
func (p Policy) holding(tuples []Measurement) (*Policy, error) {
	lists := flatten(tuples)
	p.Measurements = tuples
	p.AllowedMRTD, p.AllowedRTMR0, p.AllowedRTMR1, p.AllowedRTMR2, p.AllowedRTMR3 = lists[0], lists[1], lists[2],
		lists[3], lists[4]
	return &p, p.Check()
}

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

// WithOtherMRTD is the policy with another MRTD in every tuple: stale on purpose,
// as if no node release that it names were the one that runs.
func (p *Policy) WithOtherMRTD() (*Policy, error) {
	tuples := slices.Clone(p.Measurements)
	for i, m := range tuples {
		tuples[i].MRTD = sha512.Sum384(m.MRTD[:])
	}
	return p.holding(tuples)
}

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
