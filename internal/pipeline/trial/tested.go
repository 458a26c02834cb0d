package trial

import (
	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// Tested is the staged catalog with the entries that the trial tested; nil when
// the trial did not pass, and then nothing is proposed.
func (t *Trial) Tested() (*catalog.Catalog, error) {
	var r record
	if err := steps.ReadJSON(t.lane.Work(File), &r); err != nil || !r.Passed {
		return nil, err
	}
	staged, err := t.lane.Staged()
	if err != nil {
		return nil, err
	}
	return markTested(staged, r.Matrix)
}

// markTested: "the pipeline adds entries to the catalog for all tested version pairs".
func markTested(c *catalog.Catalog, tested e2e.Matrix) (*catalog.Catalog, error) {
	for _, cell := range tested {
		passed := tested.Passed(cell.KMS, cell.Node)
		if len(passed) == 0 {
			continue
		}
		var err error
		if c, err = catalog.MarkTested(c, catalog.PairOf(cell.KMS, cell.Node), passed, ""); err != nil {
			return nil, err
		}
	}
	return c, nil
}
