package kmsrelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/pipeline/trial"
)

// stageCatalog declares the pair in a copy of the catalog; E2E decides whether it is tested.
func (r *Release) stageCatalog(_ context.Context, w *pipeline.Work) error {
	staged, err := r.Staged()
	if err != nil {
		return err
	}
	w.Infof("staged %d catalog entries in %s", len(staged.Entries), console.Path(r.Work(steps.CatalogFile)))
	return r.WriteCatalog(staged)
}

// promote ends the release: the catalog's entries are proposed, and a stable
// release is no pre-release any longer.
func (r *Release) promote(ctx context.Context, w *pipeline.Work) error {
	tested, err := trial.Of(r.Lane).Tested()
	if err != nil {
		return err
	}
	if tested == nil {
		w.Warnf("E2E did not pass; %s stays a pre-release and no catalog entry is proposed", r.Tag)
		return nil
	}
	if err := r.ProposeCatalog(ctx, w, tested); err != nil {
		return err
	}
	return r.Promote(ctx, w)
}
