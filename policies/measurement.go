package policies

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

// Measurement is one tuple: what a node of one release and profile measures.
type Measurement struct {
	NodeRelease release.Tag `json:"node_release"`
	Evidence    string      `json:"evidence"` // "sha256:" and 64 hex digits of the published-mrtds.json it came from
	tdx.Registers
}

var evidenceForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// maxTuples bounds the work that a policy from outside can cause; a profile
// gains one tuple per node release.
const maxTuples = 512

func checkTuples(tuples []Measurement) error {
	if tuples == nil {
		return broken("measurements is missing", "a list", "nothing")
	}
	if len(tuples) > maxTuples {
		return broken("too many measurements", fmt.Sprintf("at most %d", maxTuples), fmt.Sprint(len(tuples)))
	}
	for i, m := range tuples {
		if err := m.check(); err != nil {
			return fmt.Errorf("measurements[%d]: %w", i, err)
		}
		same := func(o Measurement) bool { return o.NodeRelease == m.NodeRelease && o.Registers == m.Registers }
		if slices.ContainsFunc(tuples[:i], same) {
			return broken("a measurement appears twice", "each once", m.NodeRelease.String())
		}
	}
	return nil
}

func (m Measurement) check() error {
	if m.NodeRelease.Family != release.Node {
		return broken("node_release is not a node release", "mero-tee-vX.Y.Z", m.NodeRelease.String())
	}
	if !evidenceForm.MatchString(m.Evidence) {
		return broken("evidence is not a digest", "sha256: and 64 lower-case hex digits", m.Evidence)
	}
	return checkRegisters(m.Registers)
}

// A register that was never extended identifies nothing; nor does one that was left out of the file.
func checkRegisters(r tdx.Registers) error {
	values := r.Values()
	for i, name := range tdx.RegisterNames() {
		if values[i].IsZero() {
			return broken(name+" is missing or zero", "a measured value", values[i].String())
		}
	}
	return nil
}
