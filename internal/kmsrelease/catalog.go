package kmsrelease

import (
	"context"
	"fmt"
	"os"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/atomicfile"
	"github.com/calimero-network/mero-tee/internal/console"
	"github.com/calimero-network/mero-tee/internal/e2e"
	"github.com/calimero-network/mero-tee/internal/github"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

const (
	catalogFile = catalog.File
	baseBranch  = "main"
)

// stageCatalog declares the pair in a copy of the catalog; E2E decides whether it is tested.
func (r *Release) stageCatalog(_ context.Context, w *pipeline.Work) error {
	staged, err := r.staged()
	if err != nil {
		return err
	}
	w.Infof("staged %d catalog entries in %s", len(staged.Entries), console.Path(r.work(catalogFile)))
	return r.writeCatalog(staged)
}

func (r *Release) staged() (*catalog.Catalog, error) {
	data, err := os.ReadFile(r.Checkout.Catalog)
	if err != nil {
		return nil, err
	}
	current, err := catalog.Decode(data)
	if err != nil {
		return nil, err
	}
	counterpart, err := r.counterpart()
	if err != nil {
		return nil, err
	}
	return catalog.Declare(current, catalog.PairOf(r.Tag, counterpart), "")
}

func (r *Release) writeCatalog(c *catalog.Catalog) error {
	data, err := c.Encode()
	if err != nil {
		return err
	}
	return atomicfile.Write(r.work(catalogFile), data, 0o644)
}

// proposeCatalog opens the pull request with the entries that E2E tested. "A
// maintainer reviews the compatibility entries, verifies E2E results, and merges."
func (r *Release) proposeCatalog(ctx context.Context, w *pipeline.Work, tested e2e.Matrix) error {
	staged, err := r.staged()
	if err != nil {
		return err
	}
	counterpart, err := r.counterpart()
	if err != nil {
		return err
	}
	result, err := markTested(staged, tested)
	if err != nil {
		return err
	}
	data, err := result.Encode()
	if err != nil {
		return err
	}
	pr, err := r.github.Propose(ctx, github.Change{Base: baseBranch, Branch: "catalog/" + r.Tag.String(), Path: r.catalogPath(), Content: data,
		Message: fmt.Sprintf("catalog: %s works with %s", r.Tag, counterpart), Title: fmt.Sprintf("Compatibility of %s with %s", r.Tag, counterpart),
		Body: fmt.Sprintf("E2E of %s against %s passed. Review the entries and the release's audit, then merge.", r.Tag, counterpart)})
	if err != nil {
		return err
	}
	if pr.Number == 0 {
		w.Infof("the catalog says so already")
		return nil
	}
	w.Infof("proposed the catalog entries in pull request #%d", pr.Number)
	return w.Journal("proposed", pr.HTMLURL)
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

// catalogPath is the catalog's place in the repository.
func (r *Release) catalogPath() string {
	if r.Env.Config.CatalogPath != "" {
		return r.Env.Config.CatalogPath
	}
	return catalog.Path
}
