package steps

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// Journalled writes every deployment into the journal before it is made, under
// the app id that the provider gave it, so that SweepDeployments finds what an
// interrupted run left and takes nothing else for it. One whose making or
// deletion failed stays open: the provider may have it.
func Journalled(p e2e.Provider, j journal.Journal) e2e.Provider {
	return &journalled{Provider: p, journal: j, subjects: map[string]string{}}
}

type journalled struct {
	e2e.Provider
	journal journal.Journal

	mu       sync.Mutex
	subjects map[string]string // of the deployments, by their id
}

// subject is how the journal names a deployment: what it is called and which
// one of that name it is.
func subject(name, appID string) string { return name + "/" + appID }

func (p *journalled) Deploy(ctx context.Context, app dstack.App) (*dstack.Deployment, error) {
	begun := ""
	app.Announce = func(appID string) error {
		if begun != "" { // nothing of ours is under it
			if err := p.journal.End(journal.Deployment, begun, nil); err != nil {
				return err
			}
		}
		begun = subject(app.Name, appID)
		return p.journal.Begin(journal.Deployment, begun)
	}
	d, err := p.Provider.Deploy(ctx, app)
	switch {
	case err != nil && begun != "":
		return nil, errors.Join(err, p.journal.End(journal.Deployment, begun, err))
	case err != nil:
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subjects[d.ID] = begun
	return d, nil
}

func (p *journalled) Delete(ctx context.Context, id string) error {
	err := p.Provider.Delete(ctx, id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(err, p.journal.End(journal.Deployment, p.subjects[id], err))
}

// SweepDeployments finds the deployments that interrupted runs of the records' release
// left at the provider, and deletes them if apply says so. An application is such
// a one when both its app id and its name are in the records; no other is touched.
func SweepDeployments(ctx context.Context, provider *dstack.Client, records []pipeline.Record,
	apply bool) (found []string, err error) {
	return sweep(records, journal.Deployment, func(open string) (bool, error) {
		return sweepDeployment(ctx, provider, open, apply)
	})
}

// sweep goes through what the records left open of a kind, and goes on after an
// error: found is what is there and, where it was to go, has gone.
func sweep(records []pipeline.Record, kind journal.Kind,
	one func(open string) (bool, error)) (found []string, err error) {
	var errs []error
	for _, open := range pipeline.Open(records, kind) {
		there, err := one(open)
		if there && err == nil {
			found = append(found, open)
		}
		errs = append(errs, err)
	}
	return found, errors.Join(errs...)
}

// clearEarlier deletes what an interrupted run of this release's test left.
// One that cannot be deleted keeps no other.
func (r *Release) clearEarlier(ctx context.Context, j journal.Journal) error {
	var errs []error
	for _, open := range r.Ledger.Open(journal.Deployment) {
		_, err := sweepDeployment(ctx, r.Env.Dstack(), open, true)
		errs = append(errs, err, j.End(journal.Deployment, open, err))
	}
	return errors.Join(errs...)
}

func sweepDeployment(ctx context.Context, provider *dstack.Client, open string, apply bool) (bool, error) {
	name, appID, ok := strings.Cut(open, "/")
	switch {
	case !ok:
		return false, fault.Mismatch("a ledger's deployment", "its name and its app id", open)
	case apply:
		return provider.DeleteOwn(ctx, "app_"+appID, name)
	}
	return provider.Owns(ctx, "app_"+appID, name)
}
