// Package trial is the end-to-end step of a release of either family: it
// fetches and audits what is tried together, runs package e2e on it, and
// records the outcome.
//
// Its promise: what is tried is what the auditor downloaded, not what was
// built; every deployment and every VM is journalled before it is made; and
// what was shared for the trial is gone afterwards.
package trial

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// File is the name of the trial's record in work/.
const File = "e2e.json"

// record is work/e2e.json: what the promotion rests on.
type record struct {
	Tag         string            `json:"tag"`
	Counterpart string            `json:"counterpart"`
	Profiles    []release.Profile `json:"profiles"`
	Passed      bool              `json:"passed"`
	Matrix      e2e.Matrix        `json:"matrix"`
	Checks      []string          `json:"checks"`

	Appraisals []e2e.Appraisal `json:"appraisals,omitempty"`
}

// Trial is the end-to-end step of one release.
type Trial struct{ lane *steps.Lane }

// Of is the trial of a release.
func Of(l *steps.Lane) *Trial { return &Trial{l} }

// Do runs what the audit downloaded, not what was built. "RC: E2E may be
// advisory": a candidate's failure is shown and recorded, and does not block.
func (t *Trial) Do(ctx context.Context, w *pipeline.Work) error {
	if there, err := t.lane.HasCounterpart(); err != nil {
		return err
	} else if !there {
		w.Warnf("no %s release yet, so there is nothing to test with", t.lane.Tag.Family.Counterpart())
		return steps.WriteJSON(t.lane.Work(File), record{Tag: t.lane.Tag.String(), Checks: []string{"not applicable: first release"}})
	}
	report, err := t.try(ctx, w)
	if err != nil {
		return err
	}
	return t.conclude(w, report)
}

func (t *Trial) conclude(w *pipeline.Work, report *e2e.Report) error {
	report.Results = t.lane.Judged(report.Results)
	report.Results.Print(w.Console)
	if err := w.Lines(report.Matrix.Write); err != nil {
		return err
	}
	counterpart, err := t.lane.Counterpart()
	if err != nil {
		return err
	}
	err = report.Results.Err()
	out := record{Tag: t.lane.Tag.String(), Counterpart: counterpart.String(), Profiles: report.Profiles, Passed: err == nil,
		Matrix: report.Matrix, Checks: steps.Names(report.Results), Appraisals: report.Appraisals}
	if err != nil && t.lane.Tag.Stable() {
		return err
	}
	if err != nil {
		w.Warnf("E2E is advisory for a release candidate: %v", err)
	}
	return steps.WriteJSON(t.lane.Work(File), out)
}

// try runs the trial; the policies shared for it are gone afterwards.
func (t *Trial) try(ctx context.Context, w *pipeline.Work) (report *e2e.Report, err error) {
	defer func() { err = errors.Join(err, t.lane.GitHub.Unshare(context.WithoutCancel(ctx), t.branch())) }()
	run, err := t.prepare(ctx)
	if err != nil {
		return nil, err
	}
	run.Provider = journalled{Provider: run.Provider, work: w}
	run.Nodes = t.lane.Env.Nodes("e2e", t.lane.Tag.String()+"-e2e", w.Journal)
	others, absent, err := t.compatible(ctx, &run.Release)
	if err != nil {
		return nil, err
	}
	run.Others = others
	if run.Stale, err = t.stale(ctx, &run.Release, others); err != nil {
		return nil, err
	}
	report = run.Run(ctx)
	report.Results = append(report.Results, absent...)
	return report, nil
}

// prepare is the trial of this release with its counterpart, without guardrails A and C.
func (t *Trial) prepare(ctx context.Context) (*e2e.Trial, error) {
	released, err := t.released(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := steps.ReadPolicy(t.kmsDir(), t.lane.Env.Config.Profile)
	if err != nil {
		return nil, err
	}
	env := t.lane.Env
	verifier, err := env.Verifier()
	if err != nil {
		return nil, err
	}
	appraiser, err := t.appraiser()
	if err != nil {
		return nil, err
	}
	return &e2e.Trial{Release: *released, Appraiser: appraiser, Profiles: release.Profiles(),
		Provider: dstack.New(env.DstackURL, env.DstackKey.Reveal(), env.Transport),
		Verifier: verifier, AllowedTCB: policy.AllowedTCBStatus, HTTP: env.Client()}, nil
}

// appraiser is Intel Trust Authority; nil without a key for it.
func (t *Trial) appraiser() (e2e.Appraiser, error) {
	if t.lane.Env.ITA.Key == "" {
		return nil, nil
	}
	return ita.New(t.lane.Env.ITA)
}

// branch is where what a trial shares lies.
func (t *Trial) branch() string { return "e2e/" + t.lane.Tag.String() }
