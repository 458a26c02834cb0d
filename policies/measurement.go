package policies

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Measurement is one tuple: what a node of one release and profile measures.
type Measurement struct {
	NodeRelease release.Tag `json:"node_release"`
	Evidence    string      `json:"evidence"` // "sha256:" and 64 hex digits of the published-mrtds.json it came from
	// FirstSeen is the day, YYYY-MM-DD, on which the release's image was first
	// seen with these platform registers. It is empty in the tuple that the
	// release itself published; Evidence is then the release's own.
	FirstSeen string `json:"first_seen,omitempty"`
	// WithoutE2E is the reason for which somebody promoted the release although
	// no E2E vouches for it; empty when one does.
	WithoutE2E string `json:"without_e2e,omitempty"`
	tdx.Registers
}

// Refreshed says that the tuple was observed after the release.
func (m Measurement) Refreshed() bool { return m.FirstSeen != "" }

// Same says that the two are one tuple of one origin, promoted with E2E or without.
func (m Measurement) Same(o Measurement) bool {
	m.WithoutE2E = o.WithoutE2E
	return m == o
}

// SameImage says that the registers that a release of ours decides are equal:
// RTMR1 to RTMR3. MRTD and RTMR0 are the platform's.
func SameImage(a, b tdx.Registers) bool {
	return a.RTMR1 == b.RTMR1 && a.RTMR2 == b.RTMR2 && a.RTMR3 == b.RTMR3
}

// Naming are the tuples that come from the node release.
func Naming(tuples []Measurement, node release.Tag) []Measurement {
	return slices.DeleteFunc(slices.Clone(tuples), func(m Measurement) bool { return m.NodeRelease != node })
}

// NodeReleases are the releases that the tuples name, in their order, one for each tuple.
func NodeReleases(tuples []Measurement) []release.Tag {
	out := make([]release.Tag, len(tuples))
	for i, m := range tuples {
		out[i] = m.NodeRelease
	}
	return out
}

var evidenceForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// maxTuples bounds the work that a policy from outside can cause; a profile
// gains one tuple per node release.
const maxTuples = 512

func checkTuples(tuples []Measurement) error {
	if tuples == nil {
		return fault.Mismatch("measurements is missing", "a list", "nothing")
	}
	if len(tuples) > maxTuples {
		return fault.Mismatch("too many measurements", fmt.Sprintf("at most %d", maxTuples), fmt.Sprint(len(tuples)))
	}
	for i, m := range tuples {
		if err := m.check(); err != nil {
			return fmt.Errorf("measurements[%d]: %w", i, err)
		}
		same := func(o Measurement) bool { return o.NodeRelease == m.NodeRelease && o.Registers == m.Registers }
		if slices.ContainsFunc(tuples[:i], same) {
			return fault.Mismatch("a measurement appears twice", "each once", m.NodeRelease.String())
		}
	}
	return nil
}

func (m Measurement) check() error {
	if m.NodeRelease.Family != release.Node {
		return fault.Mismatch("node_release is not a node release", "mero-tee-vX.Y.Z", m.NodeRelease.String())
	}
	if !evidenceForm.MatchString(m.Evidence) {
		return fault.Mismatch("evidence is not a digest", "sha256: and 64 lower-case hex digits", m.Evidence)
	}
	if m.Refreshed() {
		if _, err := time.Parse(time.DateOnly, m.FirstSeen); err != nil {
			return fault.Mismatch("first_seen is not a day", "YYYY-MM-DD", m.FirstSeen)
		}
	}
	if flaw := reason.Flaw(m.WithoutE2E); m.WithoutE2E != "" && flaw != "" {
		return fault.Mismatch("without_e2e gives no reason: "+flaw, "why it was promoted without E2E",
			fmt.Sprintf("%.60q", m.WithoutE2E))
	}
	return checkRegisters(m.Registers)
}

// A register that was never extended identifies nothing; nor does one that was left out of the file.
func checkRegisters(r tdx.Registers) error {
	values := r.Values()
	for i, name := range tdx.RegisterNames() {
		if values[i].IsZero() {
			return fault.Mismatch(name+" is missing or zero", "a measured value", values[i].String())
		}
	}
	return nil
}
