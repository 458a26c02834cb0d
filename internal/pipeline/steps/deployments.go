package steps

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// journalled writes every deployment into the ledger before it is made, so
// that SweepDeployments finds what an interrupted run left. One whose making or
// deletion failed stays open: the provider may have it.
type journalled struct {
	e2e.Provider
	journal journal.Journal

	mu    sync.Mutex
	names map[string]string // of the deployments, by their id
}

func (p *journalled) Deploy(ctx context.Context, app dstack.App) (*dstack.Deployment, error) {
	if err := p.journal.Begin(journal.Deployment, app.Name); err != nil {
		return nil, err
	}
	d, err := p.Provider.Deploy(ctx, app)
	if err != nil {
		return nil, errors.Join(err, p.journal.End(journal.Deployment, app.Name, err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names[d.ID] = app.Name
	return d, nil
}

func (p *journalled) Delete(ctx context.Context, id string) error {
	err := p.Provider.Delete(ctx, id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(err, p.journal.End(journal.Deployment, p.names[id], err))
}

// SweepDeployments finds the deployments that interrupted runs of the records' release
// left at the provider, and deletes them if apply says so.
func SweepDeployments(ctx context.Context, provider *dstack.Client, records []pipeline.Record,
	apply bool) (found []string, err error) {
	for _, name := range pipeline.Open(records, journal.Deployment) {
		cvm, err := provider.Get(ctx, name)
		var refused *dstack.Refusal
		if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
			continue
		}
		if err != nil {
			return found, err
		}
		found = append(found, name)
		if apply {
			if err := provider.Delete(ctx, cvm.UUID); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}
