package steps

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// E2EFile is the name of the end-to-end test's record in work/.
const E2EFile = "e2e.json"

// e2eRecord is work/e2e.json: what the promotion rests on.
type e2eRecord struct {
	Tag         string            `json:"tag"`
	Counterpart string            `json:"counterpart"`
	Profiles    []release.Profile `json:"profiles"`
	Passed      bool              `json:"passed"`
	Matrix      e2e.Matrix        `json:"matrix"`
	Checks      []string          `json:"checks"`

	Appraisals []e2e.Appraisal `json:"appraisals,omitempty"`
}

// E2E tests what the audit downloaded, not what was built. "RC: E2E may be
// advisory": a candidate's failure is shown and recorded, and does not block.
func (r *Release) E2E(ctx context.Context, w *pipeline.Work) error {
	if there, err := r.HasCounterpart(); err != nil {
		return err
	} else if !there && r.Tag.Stable() {
		return fault.Mismatch("a stable release has nothing to be tested with",
			"a release of "+r.Tag.Family.Counterpart().Title(), "none")
	} else if !there {
		w.Warnf("no %s release yet, so there is nothing to test with", r.Tag.Family.Counterpart())
		return WriteJSON(r.Work(E2EFile), e2eRecord{Tag: r.Tag.String(), Checks: []string{"not applicable: first release"}})
	}
	report, err := r.runE2E(ctx, w)
	if err != nil {
		return err
	}
	return r.concludeE2E(w, report)
}

func (r *Release) concludeE2E(w *pipeline.Work, report *e2e.Report) error {
	report.Results = r.Judged(report.Results)
	failed := report.Results.Report(w.Console)
	if err := w.Lines(report.Matrix.Write); err != nil {
		return err
	}
	counterpart, err := r.Counterpart()
	if err != nil {
		return err
	}
	if failed != nil && r.Tag.Stable() {
		return failed
	}
	if failed != nil {
		w.Warnf("E2E is advisory for a release candidate: %v", failed)
	}
	out := e2eRecord{Tag: r.Tag.String(), Counterpart: counterpart.String(), Profiles: report.Profiles,
		Passed: failed == nil,
		Matrix: report.Matrix, Checks: Names(report.Results), Appraisals: report.Appraisals}
	return WriteJSON(r.Work(E2EFile), out)
}

// runE2E runs the test; the policies shared for it are gone afterwards.
func (r *Release) runE2E(ctx context.Context, w *pipeline.Work) (report *e2e.Report, err error) {
	if err := w.Begin(journal.Branch, r.e2eBranch()); err != nil {
		return nil, err
	}
	defer func() {
		left := r.GitHub.Unshare(context.WithoutCancel(ctx), r.e2eBranch())
		err = errors.Join(err, left, w.End(journal.Branch, r.e2eBranch(), left))
	}()
	run, err := r.prepareE2E(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.clearEarlier(ctx, w.Journal); err != nil {
		return nil, err
	}
	run.Provider = Journalled(run.Provider, w.Journal)
	run.Nodes = r.Env.Nodes("e2e", r.Tag.String()+"-e2e", w.Journal)
	others, absent, err := r.compatible(ctx, &run.Release)
	if err != nil {
		return nil, err
	}
	run.Others = others
	if run.Stale, err = r.stale(ctx, &run.Release, others); err != nil {
		return nil, err
	}
	report = run.Execute(ctx)
	report.Results = append(report.Results, absent...)
	return report, nil
}

// prepareE2E is the test of this release with its counterpart, without guardrails A and C.
func (r *Release) prepareE2E(ctx context.Context) (*e2e.Run, error) {
	released, err := r.e2eRelease(ctx)
	if err != nil {
		return nil, err
	}
	host, err := tcb.ReadHost(r.Checkout.HostTCB)
	if err != nil {
		return nil, err
	}
	env := r.Env
	verifier, err := env.Verifier()
	if err != nil {
		return nil, err
	}
	appraiser, err := r.appraiser()
	if err != nil {
		return nil, err
	}
	return &e2e.Run{ID: dstack.NewRun(), Release: *released, Appraiser: appraiser, Profiles: release.Profiles(),
		Provider: env.Dstack(),
		Verifier: verifier, HostTCB: host.List, HTTP: env.Client()}, nil
}

// appraiser is Intel Trust Authority; nil without a key for it.
func (r *Release) appraiser() (e2e.Appraiser, error) {
	client, err := r.Env.Appraiser()
	if client == nil {
		return nil, err
	}
	return client, err
}

// e2eBranch is where policies lie that the test shares with deployed services.
func (r *Release) e2eBranch() string { return "e2e/" + r.Tag.String() }
