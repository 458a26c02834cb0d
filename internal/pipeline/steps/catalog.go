package steps

import (
	"slices"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// CatalogFile is the name of the staged catalog in work/.
const CatalogFile = catalog.File

// Staged is the catalog of the checkout, with the pair of this release declared.
func (r *Release) Staged() (*catalog.Catalog, error) {
	current, err := catalog.Read(r.Checkout.Catalog)
	if err != nil {
		return nil, err
	}
	counterpart, err := r.Counterpart()
	if err != nil {
		return nil, err
	}
	return catalog.Declare(current, catalog.PairOf(r.Tag, counterpart), "")
}

// WriteCatalog keeps a catalog in work/.
func (r *Release) WriteCatalog(c *catalog.Catalog) error {
	data, err := c.Encode()
	if err != nil {
		return err
	}
	return file.Write(r.Work(CatalogFile), data, 0o644)
}

// TestedCatalog is the staged catalog with the entries that E2E tested; nil when
// E2E did not pass, and then nothing is proposed.
func (r *Release) TestedCatalog() (*catalog.Catalog, error) {
	outcome, err := r.outcome()
	if err != nil || !outcome.Passed {
		return nil, err
	}
	staged, err := r.Staged()
	if err != nil {
		return nil, err
	}
	out, _, err := catalog.Update(staged, staged, staged, trials(outcome.Matrix))
	return out, err
}

// outcome is what E2E recorded.
func (r *Release) outcome() (e2eRecord, error) {
	var out e2eRecord
	err := ReadJSON(r.Work(E2EFile), &out)
	return out, err
}

// trials: "the pipeline adds entries to the catalog for all tested version pairs".
func trials(matrix e2e.Matrix) []catalog.Trial {
	var out []catalog.Trial
	for _, cell := range matrix {
		t := catalog.Trial{Pair: catalog.PairOf(cell.KMS, cell.Node), Profiles: matrix.Passed(cell.KMS, cell.Node)}
		same := func(o catalog.Trial) bool { return o.Pair == t.Pair }
		if len(t.Profiles) > 0 && !slices.ContainsFunc(out, same) {
			out = append(out, t)
		}
	}
	return out
}
