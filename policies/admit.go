package policies

import (
	"fmt"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Violation says why a policy does not admit a quote.
type Violation struct {
	Register string      // "mrtd", "rtmr0" … "rtmr3", or "tcb_status": the first that differs
	Got      string      // its value in the quote
	Nearest  string      // its value in the tuple with the fewest differences; for tcb_status the allowed list
	Release  release.Tag // the node release of that tuple; zero for tcb_status and for a policy without tuples
	Others   []string    // every further register that differs from that tuple

	File  string      // for tcb_status: the working policy whose list refuses
	Ended *tcb.Waiver // for tcb_status: the waiver that covered it until its end
}

// Error names every register that differs, so that one difference never hides another.
func (v *Violation) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s is not allowed", v.Register, v.Got)
	if v.Nearest != "" {
		fmt.Fprintf(&b, "; nearest %s", v.Nearest)
	}
	if v.File != "" {
		fmt.Fprintf(&b, ", by policies/%s, where tcb_waivers (status, reason, until) can accept it for a while", v.File)
	}
	if v.Ended != nil {
		fmt.Fprintf(&b, "; its waiver has ended: %s", v.Ended.What())
	}
	if !v.Release.IsZero() {
		fmt.Fprintf(&b, " of %s", v.Release)
	}
	if len(v.Others) > 0 {
		fmt.Fprintf(&b, "; %s differ too", strings.Join(v.Others, ", "))
	}
	return b.String()
}

// Admits returns nil or a *Violation. The TCB status must be listed or waived at the time, always;
// the registers must equal one whole tuple unless the policy is not ready:
// then "all MRTD/RTMR values are accepted".
func (p *Policy) Admits(got tdx.Registers, platform tcb.Platform, at time.Time) error {
	if ok, ended := p.TCB().Accepts(platform, at); !ok {
		return &Violation{Register: "tcb_status", Got: string(platform.Status),
			Nearest: strings.Join(p.AllowedTCBStatus, ", "), Ended: ended, File: File(p.Profile)}
	}
	if p.NotReady() {
		return nil
	}
	if len(p.Measurements) == 0 {
		return &Violation{Register: "mrtd", Got: got.MRTD.String()}
	}
	near, diffs := nearest(p.Measurements, got)
	if len(diffs) == 0 {
		return nil
	}
	v := &Violation{Register: diffs[0].Name, Got: diffs[0].Got.String(), Nearest: diffs[0].Want.String(),
		Release: near.NodeRelease}
	for _, d := range diffs[1:] {
		v.Others = append(v.Others, d.Name)
	}
	return v
}

// nearest finds the first of the tuples with the fewest differences; tuples is not empty.
func nearest(tuples []Measurement, got tdx.Registers) (Measurement, []tdx.Difference) {
	near, best := tuples[0], tuples[0].Compare(got)
	for _, m := range tuples[1:] {
		if diffs := m.Compare(got); len(diffs) < len(best) {
			near, best = m, diffs
		}
	}
	return near, best
}
