package policies

import (
	"slices"
)

// Revoke takes the tuples that match out of the measurements, with every tuple
// of equal registers, and keeps them among the revoked ones with the reason;
// w is left as it was. It returns what it took out, which is nothing when all
// that matches is revoked already.
func Revoke(w *Working, matches func(Measurement) bool, reason string) (*Working, []Measurement, error) {
	if err := w.Check(); err != nil {
		return nil, nil, err
	}
	out := *w
	out.Revoked = slices.Clone(w.Revoked)
	for _, m := range w.Measurements {
		if matches(m) && out.Revocation(m.Registers) == nil {
			out.Revoked = append(out.Revoked, Revocation{NodeRelease: m.NodeRelease, Registers: m.Registers, Reason: reason})
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
