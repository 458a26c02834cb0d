package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/release"
)

// measurement is the tuple that the evidence holds for a profile, checked.
func (e Evidence) measurement(p release.Profile) (Measurement, error) {
	regs, ok := e.Registers[p]
	if !ok {
		return Measurement{}, fault.Mismatch("the node release publishes no measurement of the profile",
			string(p), e.Tag.String())
	}
	m := Measurement{NodeRelease: e.Tag, Evidence: e.Digest, Registers: regs}
	if err := m.check(); err != nil {
		return Measurement{}, err
	}
	return m, checkProfileRegister(p, m)
}

// RTMR3 is a formula over the profile's name: "recomputed, never trusted".
func checkProfileRegister(p release.Profile, m Measurement) error {
	if want := tdx.ProfileRTMR3(string(p)); m.RTMR3 != want {
		return fault.Mismatch(fmt.Sprintf("rtmr3 of %s is not that of profile %s", m.NodeRelease, p),
			want.String(), m.RTMR3.String())
	}
	return nil
}

// candidate is the counterpart's tuple, nil when there is no counterpart. A
// revoked tuple, or one that disagrees with what was promoted under the same
// tag and digest, is an error.
func (w *Working) candidate(ev Evidence) (*Measurement, error) {
	if ev.Tag.IsZero() {
		return nil, nil
	}
	m, err := ev.measurement(w.Profile)
	if err != nil {
		return nil, err
	}
	if r := w.Revocation(m.Registers); r != nil {
		return nil, w.revoked(ev.Tag, r)
	}
	return &m, w.conflict(m)
}

func (w *Working) revoked(node release.Tag, r *Revocation) error {
	return &fault.Error{Code: fault.Verification,
		Message:  fmt.Sprintf("the %s measurement of %s is revoked: %s", w.Profile, node, r.Reason),
		Expected: "a measurement that stands", Got: r.MRTD.String(), Hint: "pair with a later node release"}
}

// One published-mrtds.json holds one tuple per profile, and a published
// release never changes: the same release and digest cannot say two things,
// nor can the same tuple of one release come from two digests.
func (w *Working) conflict(m Measurement) error {
	for _, o := range w.Measurements {
		if o.NodeRelease != m.NodeRelease || o.Same(m) {
			continue
		}
		if o.Registers == m.Registers {
			return fault.Mismatch(fmt.Sprintf("evidence of %s (%s) differs from what was promoted", m.NodeRelease, w.Profile),
				o.Evidence, m.Evidence)
		}
		if o.Evidence == m.Evidence {
			return differs(o, m)
		}
	}
	return nil
}

func differs(promoted, got Measurement) error {
	names, want, have := listed(promoted.Compare(got.Registers))
	return fault.Mismatch(fmt.Sprintf("%s of %s differs from what was promoted", names, got.NodeRelease), want, have)
}

// listed are differences as an error names them.
func listed(diffs []tdx.Difference) (names, want, got string) {
	var out [3][]string
	for _, d := range diffs {
		out[0], out[1], out[2] = append(out[0], d.Name), append(out[1], d.Want.String()), append(out[2], d.Got.String())
	}
	return strings.Join(out[0], ", "), strings.Join(out[1], ", "), strings.Join(out[2], ", ")
}

// Promote adds the tuple that a node release publishes for w's profile and
// returns the new working policy; w is left as it was. E2E vouches for it: what
// the release was promoted without before is taken back. Promoting what is
// promoted changes nothing; a revoked tuple is refused (code Verification).
func Promote(w *Working, ev Evidence) (*Working, error) { return promote(w, ev, "") }

// PromoteUntested is Promote of a release for which no E2E vouches, for a
// reason that stays in the policy. A release that is promoted already, with E2E
// or for another reason, stays as it is.
func PromoteUntested(w *Working, ev Evidence, why string) (*Working, error) {
	if err := reason.Check("a promotion without E2E", why); err != nil {
		return nil, err
	}
	return promote(w, ev, why)
}

func promote(w *Working, ev Evidence, why string) (*Working, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	m, err := w.candidate(ev)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fault.Mismatch("no node release to promote", "a node release tag", "none")
	}
	out := *w
	out.Measurements = slices.Clone(w.Measurements)
	if !slices.ContainsFunc(out.Measurements, m.Same) {
		m.WithoutE2E = why
		out.Measurements = append(out.Measurements, *m)
	}
	for i, o := range out.Measurements {
		if why == "" && o.NodeRelease == m.NodeRelease { // refreshed tuples stand on the same test
			out.Measurements[i].WithoutE2E = ""
		}
	}
	return &out, nil
}

// Revoke takes the tuples that match out of the measurements, with every tuple
// of equal registers, and keeps them among the revoked ones with the reason;
// w is left as it was; day is YYYY-MM-DD. It returns what it took out, which is
// nothing when all that matches is revoked already.
func Revoke(w *Working, matches func(Measurement) bool, why, day string) (*Working, []Measurement, error) {
	if err := w.Check(); err != nil {
		return nil, nil, err
	}
	out := *w
	out.Revoked = slices.Clone(w.Revoked)
	for _, m := range w.Measurements {
		if matches(m) && out.Revocation(m.Registers) == nil {
			out.Revoked = append(out.Revoked, Revocation{NodeRelease: m.NodeRelease, Registers: m.Registers, Reason: why,
				RevokedOn: day})
		}
	}
	gone := []Measurement{}
	out.Measurements = []Measurement{}
	for _, m := range w.Measurements {
		if out.Revocation(m.Registers) != nil {
			gone = append(gone, m)
		} else {
			out.Measurements = append(out.Measurements, m)
		}
	}
	return &out, gone, out.Check()
}
