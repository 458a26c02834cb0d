package migration

import (
	"fmt"
	"io"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/policies"
)

// WriteDiff writes what the new policy admits and the old one did not ("+"),
// the other way round ("-"), and how much both admit.
func (m Migration) WriteDiff(w io.Writer) error {
	d := &diff{w: w}
	d.statuses("-", m.From.Policy, m.To.Policy)
	d.statuses("+", m.To.Policy, m.From.Policy)
	d.tuples("-", m.From.Policy, m.To.Policy)
	kept := d.tuples("+", m.To.Policy, m.From.Policy)
	d.printf("  %d measurements in both\n", kept)
	return d.err
}

type diff struct {
	w   io.Writer
	err error
}

func (d *diff) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

func (d *diff) statuses(sign string, of, other *policies.Policy) {
	for _, s := range of.AllowedTCBStatus {
		if !slices.Contains(other.AllowedTCBStatus, s) {
			d.printf("%s tcb_status %s\n", sign, s)
		}
	}
}

// tuples writes those of one policy that the other lacks and counts the rest.
func (d *diff) tuples(sign string, of, other *policies.Policy) (common int) {
	for _, t := range of.Measurements {
		if slices.ContainsFunc(other.Measurements, func(o policies.Measurement) bool { return o.Registers == t.Registers }) {
			common++
			continue
		}
		d.printf("%s %s\n", sign, t.NodeRelease)
		for i, value := range t.Values() {
			d.printf("%s   %-5s %s\n", sign, tdx.RegisterNames()[i], value)
		}
	}
	return common
}
