package steps

import (
	"context"
	"fmt"
	"os"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// CatalogFile is the name of the staged catalog in work/.
const CatalogFile = catalog.File

// BaseBranch is where pull requests go.
const BaseBranch = propose.Base

// Staged is the catalog of the checkout, with the pair of this release declared.
func (r *Release) Staged() (*catalog.Catalog, error) {
	data, err := os.ReadFile(r.Checkout.Catalog)
	if err != nil {
		return nil, err
	}
	current, err := catalog.Decode(data)
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

// ProposeCatalog opens the pull request with the tested entries. "A maintainer
// reviews the compatibility entries, verifies E2E results, and merges."
func (r *Release) ProposeCatalog(ctx context.Context, w *pipeline.Work, tested *catalog.Catalog) error {
	data, err := tested.Encode()
	if err != nil {
		return err
	}
	counterpart, err := r.Counterpart()
	if err != nil {
		return err
	}
	change := github.Change{Base: BaseBranch, Branch: "catalog/" + r.Tag.String(), Path: r.catalogPath(), Content: data,
		Message: fmt.Sprintf("catalog: %s works with %s", r.Tag, counterpart),
		Title:   fmt.Sprintf("Compatibility of %s with %s", r.Tag, counterpart),
		Body: fmt.Sprintf("E2E of %s against %s passed. Review the entries and the release's audit, then merge.", r.Tag,
			counterpart)}
	return w.Do(journal.Proposal, change.Branch, func() error {
		pr, err := r.GitHub.Propose(ctx, change)
		switch {
		case err != nil:
			return err
		case pr.Number == 0:
			w.Infof("the catalog already lists %s with %s as tested: nothing to propose", r.Tag, counterpart)
		default:
			w.Infof("proposed the catalog entries in pull request #%d", pr.Number)
		}
		return nil
	})
}

// catalogPath is the catalog's place in the repository.
func (r *Release) catalogPath() string {
	if r.Env.Config.CatalogPath != "" {
		return r.Env.Config.CatalogPath
	}
	return catalog.Path
}

// TestedCatalog is the staged catalog with the entries that E2E tested; nil when
// E2E did not pass, and then nothing is proposed.
func (r *Release) TestedCatalog() (*catalog.Catalog, error) {
	var outcome e2eRecord
	if err := ReadJSON(r.Work(E2EFile), &outcome); err != nil || !outcome.Passed {
		return nil, err
	}
	staged, err := r.Staged()
	if err != nil {
		return nil, err
	}
	return markTested(staged, outcome.Matrix)
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
