package steps

import (
	"context"
	"fmt"
	"os"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// CatalogFile is the name of the staged catalog in work/.
const CatalogFile = catalog.File

// BaseBranch is where pull requests go.
const BaseBranch = propose.Base

// Staged is the catalog of the checkout, with the pair of this release declared.
func (l *Lane) Staged() (*catalog.Catalog, error) {
	data, err := os.ReadFile(l.Checkout.Catalog)
	if err != nil {
		return nil, err
	}
	current, err := catalog.Decode(data)
	if err != nil {
		return nil, err
	}
	counterpart, err := l.Counterpart()
	if err != nil {
		return nil, err
	}
	return catalog.Declare(current, catalog.PairOf(l.Tag, counterpart), "")
}

// WriteCatalog keeps a catalog in work/.
func (l *Lane) WriteCatalog(c *catalog.Catalog) error {
	data, err := c.Encode()
	if err != nil {
		return err
	}
	return file.Write(l.Work(CatalogFile), data, 0o644)
}

// ProposeCatalog opens the pull request with the tested entries. "A maintainer
// reviews the compatibility entries, verifies E2E results, and merges."
func (l *Lane) ProposeCatalog(ctx context.Context, w *pipeline.Work, tested *catalog.Catalog) error {
	data, err := tested.Encode()
	if err != nil {
		return err
	}
	counterpart, err := l.Counterpart()
	if err != nil {
		return err
	}
	pr, err := l.GitHub.Propose(ctx, github.Change{Base: BaseBranch, Branch: "catalog/" + l.Tag.String(), Path: l.catalogPath(), Content: data,
		Message: fmt.Sprintf("catalog: %s works with %s", l.Tag, counterpart), Title: fmt.Sprintf("Compatibility of %s with %s", l.Tag, counterpart),
		Body: fmt.Sprintf("E2E of %s against %s passed. Review the entries and the release's audit, then merge.", l.Tag, counterpart)})
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

// catalogPath is the catalog's place in the repository.
func (l *Lane) catalogPath() string {
	if l.Env.Config.CatalogPath != "" {
		return l.Env.Config.CatalogPath
	}
	return catalog.Path
}
