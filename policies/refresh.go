package policies

import (
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Refresh adds the registers with which the image of a promoted node release
// was observed on a platform that moved, next to the tuples that stand; w is
// left as it was. day is YYYY-MM-DD. What is there already changes nothing.
// Refused (code Verification): an observation whose RTMR1, RTMR2 or RTMR3 is
// not the promoted one, a release of which nothing stands, a revoked tuple.
func Refresh(w *Working, node release.Tag, observed Evidence, day string) (*Working, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	seen, err := observed.measurement(w.Profile)
	if err != nil {
		return nil, err
	}
	seen.NodeRelease, seen.FirstSeen = node, day
	if err := seen.check(); err != nil {
		return nil, err
	}
	if r := w.Revocation(seen.Registers); r != nil {
		return nil, w.revoked(node, r)
	}
	stands := Naming(w.Standing(), node)
	if len(stands) == 0 {
		return nil, w.nothingStands(node)
	}
	if !SameImage(stands[0].Registers, seen.Registers) {
		return nil, otherImage(stands[0], seen)
	}
	seen.WithoutE2E = stands[0].WithoutE2E
	out := *w
	out.Measurements = slices.Clone(w.Measurements)
	if !slices.ContainsFunc(stands, func(m Measurement) bool { return m.Registers == seen.Registers }) {
		out.Measurements = append(out.Measurements, seen)
	}
	return &out, out.Check()
}

// ReleasedAs finds the newest node release of which a standing tuple has the
// image of the registers; the zero Tag when there is none.
func (w *Working) ReleasedAs(seen tdx.Registers) release.Tag {
	for _, m := range slices.Backward(w.Standing()) {
		if SameImage(m.Registers, seen) {
			return m.NodeRelease
		}
	}
	return release.Tag{}
}

func (w *Working) nothingStands(node release.Tag) error {
	got := "it was never promoted"
	for _, r := range w.Revoked {
		if r.NodeRelease == node {
			got = "revoked: " + r.Reason
		}
	}
	return &fault.Error{Code: fault.Verification,
		Message:  fmt.Sprintf("no %s measurement of %s stands, so there is none to refresh", w.Profile, node),
		Expected: "a promoted measurement of " + node.String(), Got: got, Hint: "policy:promote -tag=" + node.String()}
}

func otherImage(promoted, seen Measurement) error {
	ours := slices.DeleteFunc(promoted.Compare(seen.Registers),
		func(d tdx.Difference) bool { return d.Name == "mrtd" || d.Name == "rtmr0" })
	names, want, got := listed(ours)
	return &fault.Error{Code: fault.Verification,
		Message: fmt.Sprintf("%s is not that of %s: this is another image, not another platform", names,
			promoted.NodeRelease),
		Expected: want, Got: got, Hint: "release the image and promote that release"}
}

// checkRefreshed: one release has one image, whatever platform it was seen on, and
// one file shows one tuple of a profile.
func checkRefreshed(tuples []Measurement) error {
	for _, m := range tuples {
		if !m.Refreshed() {
			continue
		}
		for _, o := range Naming(tuples, m.NodeRelease) {
			if !SameImage(o.Registers, m.Registers) {
				return otherImage(o, m)
			}
			if o.Evidence == m.Evidence && o.Registers != m.Registers {
				return differs(o, m)
			}
		}
	}
	return nil
}
