package kmsrelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
)

// stageCatalog declares the pair in a copy of the catalog; E2E decides whether it is tested.
func (p *Pipeline) stageCatalog(_ context.Context, w *pipeline.Work) error {
	staged, err := p.Staged()
	if err != nil {
		return err
	}
	w.Infof("staged %d catalog entries in %s", len(staged.Entries), console.Path(p.Work(steps.CatalogFile)))
	return p.WriteCatalog(staged)
}

// promote ends the release: the catalog's entries are proposed, and a stable
// release is no pre-release any longer.
func (p *Pipeline) promote(ctx context.Context, w *pipeline.Work) error {
	tested, err := p.TestedCatalog()
	if err != nil {
		return err
	}
	if tested == nil {
		w.Warnf("E2E did not pass; %s stays a pre-release and no catalog entry is proposed", p.Tag)
		return nil
	}
	if err := p.ProposeCatalog(ctx, w, tested); err != nil {
		return err
	}
	return p.Promote(ctx, w)
}
