package steps

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// What the journal says of a deployment, before and after each side effect.
const (
	deployBegins = "deploy begins"
	deployDone   = "deployed"
	deleteDone   = "deleted"
)

// journalled writes every deployment into the ledger before it is made, so
// that SweepDeployments finds what an interrupted run left.
type journalled struct {
	e2e.Provider
	work *pipeline.Work
}

func (p journalled) Deploy(ctx context.Context, app dstack.App) (*dstack.Deployment, error) {
	if err := p.work.Journal(deployBegins, app.Name); err != nil {
		return nil, err
	}
	d, err := p.Provider.Deploy(ctx, app)
	if err != nil {
		return nil, errors.Join(err, p.work.Journal(deleteDone, app.Name)) // Deploy leaves nothing behind when it fails
	}
	return d, p.work.Journal(deployDone, app.Name+" "+d.ID)
}

func (p journalled) Delete(ctx context.Context, id string) error {
	if err := p.Provider.Delete(ctx, id); err != nil {
		return err
	}
	return p.work.Journal(deleteDone, id)
}

// leftovers are the names and ids of what the journal saw begin and not end.
func leftovers(records []pipeline.Record) []string {
	var open []string
	ids := map[string]string{} // id to name
	for _, r := range records {
		subject, isBegin := strings.CutPrefix(r.Detail, deployBegins+" ")
		switch {
		case r.Event != pipeline.Effect:
		case isBegin:
			open = append(open, subject)
		case strings.HasPrefix(r.Detail, deployDone+" "):
			if name, id, ok := strings.Cut(strings.TrimPrefix(r.Detail, deployDone+" "), " "); ok {
				ids[id] = name
			}
		case strings.HasPrefix(r.Detail, deleteDone+" "):
			gone := strings.TrimPrefix(r.Detail, deleteDone+" ")
			if name, ok := ids[gone]; ok {
				gone = name
			}
			open = without(open, gone)
		}
	}
	return open
}

// without drops every entry that equals s: a name is deployed once at a time.
func without(list []string, s string) []string {
	var out []string
	for _, x := range list {
		if x != s {
			out = append(out, x)
		}
	}
	return out
}

// SweepDeployments finds the deployments that interrupted runs of the records' release
// left at the provider, and deletes them if apply says so.
func SweepDeployments(ctx context.Context, provider *dstack.Client, records []pipeline.Record, apply bool) (found []string, err error) {
	for _, name := range leftovers(records) {
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
