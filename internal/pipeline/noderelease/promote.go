package noderelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/trial"
)

// catalog proposes the entries that E2E tested.
func (r *Release) catalog(ctx context.Context, w *pipeline.Work) error {
	tested, err := trial.Of(r.Lane).Tested()
	if err != nil {
		return err
	}
	if tested == nil {
		w.Warnf("E2E did not pass; no catalog entry is proposed")
		staged, err := r.Staged()
		if err != nil {
			return err
		}
		return r.WriteCatalog(staged)
	}
	if err := r.WriteCatalog(tested); err != nil {
		return err
	}
	return r.ProposeCatalog(ctx, w, tested)
}

// promote makes a stable release the latest, unless E2E did not pass.
func (r *Release) promote(ctx context.Context, w *pipeline.Work) error {
	tested, err := trial.Of(r.Lane).Tested()
	if err != nil {
		return err
	}
	if tested == nil {
		w.Warnf("E2E did not pass; %s stays a pre-release", r.Tag)
		return nil
	}
	return r.Promote(ctx, w)
}
