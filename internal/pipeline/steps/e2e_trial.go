package steps

import (
	"context"
	"errors"
	"slices"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// Trial is an end-to-end test of two audited releases: of a release under way
// with its counterpart, or of any two that are public.
type Trial struct {
	Env       *environment.Environment
	GitHub    *github.Client
	Published Published        // where other releases are, that the catalog or a policy names
	KMS, Node string           // folders of audited assets
	HostTCB   tcb.List         // what is accepted of the machine under the key service
	Catalog   *catalog.Catalog // whose other pairs guardrail A tries; nil: none
	Suites    []e2e.Suite
	Name      string // of the run: the same when an interrupted one is begun again
	Journal   journal.Journal
}

// branch is where policies lie that the test shares with deployed services.
func (t *Trial) branch() string { return sharedPrefix + t.Name }

// Execute runs the suites; the policies shared for them are gone afterwards.
func (t *Trial) Execute(ctx context.Context) (report *e2e.Report, err error) {
	if err := t.Journal.Begin(journal.Branch, t.branch()); err != nil {
		return nil, err
	}
	defer func() {
		left := t.GitHub.Unshare(context.WithoutCancel(ctx), t.branch())
		err = errors.Join(err, left, t.Journal.End(journal.Branch, t.branch(), left))
	}()
	run, err := t.prepare(ctx)
	if err != nil {
		return nil, err
	}
	return run.Execute(ctx), nil
}

// prepare is the run. What only a guardrail needs and cannot be had is a result
// of that guardrail: it keeps nothing else from running.
func (t *Trial) prepare(ctx context.Context) (*e2e.Run, error) {
	run, err := t.services()
	if err != nil {
		return nil, err
	}
	if run.Release.Updated, err = t.updated(ctx, t.KMS, &run.Release); err != nil {
		return nil, err
	}
	if slices.Contains(t.Suites, e2e.GuardrailSuite) {
		run.Others, run.Known = t.compatible(ctx, &run.Release)
		run.Stale = t.stale(ctx, &run.Release, run.Others)
	}
	return run, nil
}

// services is the run with whom it asks, and the two releases as they were downloaded.
func (t *Trial) services() (*e2e.Run, error) {
	released, err := readRelease(t.KMS)
	if err != nil {
		return nil, err
	}
	if released.Node, err = ReadMeasurements(t.Node); err != nil {
		return nil, err
	}
	verifier, err := t.Env.Verifier()
	if err != nil {
		return nil, err
	}
	appraiser, err := t.appraiser()
	if err != nil {
		return nil, err
	}
	provider := t.Env.Dstack()
	return &e2e.Run{ID: dstack.NewRun(), Suites: t.Suites, Release: *released, Profiles: release.Profiles(),
		Provider: Journalled(provider, t.Journal), Inventory: provider,
		Nodes:    t.Env.Nodes("e2e", t.Name+"-e2e", t.Journal),
		Verifier: verifier, Appraiser: appraiser, HostTCB: t.HostTCB, HTTP: t.Env.Client()}, nil
}

// appraiser is Intel Trust Authority; nil without a key for it.
func (t *Trial) appraiser() (e2e.Appraiser, error) {
	client, err := t.Env.Appraiser()
	if client == nil {
		return nil, err
	}
	return client, err
}
