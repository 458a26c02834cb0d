package e2e

import (
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Pair is a key service and a node release that the catalog lists together.
// Guardrail A: "test the new KMS version against all listed compatible
// node-image versions (and vice versa)".
type Pair struct {
	KMS      *Release // its Node is not looked at
	Node     *measurement.Published
	Profiles []release.Profile // that the catalog lists
}

// cell is one profile of a pair.
type cell struct {
	Pair
	profile release.Profile
}

// others are the cells that are tried besides the release with its counterpart.
func (t *Trial) others() []cell {
	var out []cell
	for _, pair := range t.Others {
		for _, p := range pair.Profiles {
			if slices.Contains(t.Profiles, p) {
				out = append(out, cell{pair, p})
			}
		}
	}
	return out
}

func (c cell) name() string {
	return fmt.Sprintf("service %s of %s gives a node of %s its key", c.profile, c.KMS.KMS.Tag, c.Node.Tag)
}

// matrix puts the results of the release's own key releases and of the other
// cells, each in its order, into one table.
func (s *stage) matrix(keys, others []check.Result) Matrix {
	var out Matrix
	for i, p := range s.trial.Profiles {
		out = append(out, Cell{s.trial.Release.KMS.Tag, s.trial.Release.Node.Tag, p, keys[i].Status})
	}
	for i, c := range s.trial.others() {
		out = append(out, Cell{c.KMS.KMS.Tag, c.Node.Tag, c.profile, others[i].Status})
	}
	return out
}
