package noderelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// catalog proposes the entries that E2E tested.
func (p *Pipeline) catalog(ctx context.Context, w *pipeline.Work) error {
	tested, err := p.TestedCatalog()
	if err != nil {
		return err
	}
	if tested == nil {
		w.Warnf("E2E did not pass; no catalog entry is proposed")
		staged, err := p.Staged()
		if err != nil {
			return err
		}
		return p.WriteCatalog(staged)
	}
	if err := p.WriteCatalog(tested); err != nil {
		return err
	}
	return p.ProposeCatalog(ctx, w, tested)
}

// promote makes a stable release the latest, unless E2E did not pass.
func (p *Pipeline) promote(ctx context.Context, w *pipeline.Work) error {
	tested, err := p.TestedCatalog()
	if err != nil {
		return err
	}
	if tested == nil {
		w.Warnf("E2E did not pass; %s stays a pre-release", p.Tag)
		return nil
	}
	return p.Promote(ctx, w)
}
