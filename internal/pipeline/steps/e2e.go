package steps

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
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
	Suites      []e2e.Suite       `json:"suites"`
	Passed      bool              `json:"passed"`
	Matrix      e2e.Matrix        `json:"matrix"`
	Deployed    []e2e.Deployed    `json:"deployed"` // which artifacts were unchanged, and which reconfigured and how
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
	if err := r.writeEvidence(report); err != nil { // also of a test that failed
		return err
	}
	return r.concludeE2E(w, report)
}

func (r *Release) concludeE2E(w *pipeline.Work, report *e2e.Report) error {
	report.Checks = report.Checks.Judged(r.Judged)
	if err := r.keep(e2eFile, report.Checks.Results()); err != nil {
		return err
	}
	failed := report.Checks.Results().Report(w.Console)
	if err := w.Lines(report.Write); err != nil {
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
		Suites: report.Suites, Passed: failed == nil, Matrix: report.Matrix, Deployed: report.Deployed,
		Checks: Names(report.Checks.Results()), Appraisals: report.Appraisals}
	return WriteJSON(r.Work(E2EFile), out)
}

// runE2E runs both suites: a release of either family is tried with the released
// artifacts of both.
func (r *Release) runE2E(ctx context.Context, w *pipeline.Work) (*e2e.Report, error) {
	trial, err := r.trial(w)
	if err != nil {
		return nil, err
	}
	if err := r.clearEarlier(ctx, w.Journal); err != nil {
		return nil, err
	}
	return trial.Execute(ctx)
}

// trial is the test of this release with its counterpart.
func (r *Release) trial(w *pipeline.Work) (*Trial, error) {
	host, err := tcb.ReadHost(r.Checkout.HostTCB)
	if err != nil {
		return nil, err
	}
	staged, err := r.Staged()
	if err != nil {
		return nil, err
	}
	return &Trial{Env: r.Env, GitHub: r.GitHub, Published: r.Published(), KMS: r.familyDir(release.KMS),
		Node: r.familyDir(release.Node), HostTCB: host.List, Catalog: staged, Suites: e2e.Suites(), Name: r.Tag.String(),
		Journal: w.Journal}, nil
}

// familyDir is the folder of audited assets of one of the two releases that are tested together.
func (r *Release) familyDir(f release.Family) string {
	if r.Tag.Family == f {
		return r.Public()
	}
	return r.CounterpartDir()
}
