package kmsrelease

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/compose"
	"github.com/calimero-network/mero-tee/internal/dstack"
	"github.com/calimero-network/mero-tee/internal/e2e"
	"github.com/calimero-network/mero-tee/internal/ita"
	"github.com/calimero-network/mero-tee/internal/measurement"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
	"github.com/calimero-network/mero-tee/policies"
)

const e2eFile = "e2e.json"

// e2eRecord is work/e2e.json: what the promotion rests on.
type e2eRecord struct {
	Tag      string            `json:"tag"`
	Node     string            `json:"node"`
	Profiles []release.Profile `json:"profiles"`
	Passed   bool              `json:"passed"`
	Matrix   e2e.Matrix        `json:"matrix"`
	Checks   []string          `json:"checks"`

	Appraisals []e2e.Appraisal `json:"appraisals,omitempty"`
}

// e2e runs what the audit downloaded, not what was built. "RC: E2E may be
// advisory": a candidate's failure is shown and recorded, and does not block.
func (r *Release) e2e(ctx context.Context, w *pipeline.Work) error {
	if _, err := os.Stat(filepath.Join(r.work(counterpartDir), release.MeasurementsAsset)); errors.Is(err, fs.ErrNotExist) {
		w.Warnf("no node release yet, so there is nothing to test with")
		return writeJSON(r.work(e2eFile), e2eRecord{Tag: r.Tag.String(), Checks: []string{"not applicable: first release"}})
	}
	report, err := r.try(ctx, w)
	if err != nil {
		return err
	}
	if r.Tag.Stable() {
		report.Results = report.Results.Strict()
	}
	report.Results.Print(w.Console)
	if err := printMatrix(w, report.Matrix); err != nil {
		return err
	}
	err = report.Results.Err()
	record := e2eRecord{Tag: r.Tag.String(), Node: report.Node.String(), Profiles: report.Profiles, Passed: err == nil,
		Matrix: report.Matrix, Checks: names(report.Results), Appraisals: report.Appraisals}
	if err != nil && r.Tag.Stable() {
		return err
	}
	if err != nil {
		w.Warnf("E2E is advisory for a release candidate: %v", err)
	}
	return writeJSON(r.work(e2eFile), record)
}

func printMatrix(w *pipeline.Work, m e2e.Matrix) error {
	var table bytes.Buffer
	if err := m.Write(&table); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		w.Infof("%s", strings.TrimRight(line, "\n"))
	}
	return nil
}

// try runs the trial; the policy shared for guardrail C is gone afterwards.
func (r *Release) try(ctx context.Context, w *pipeline.Work) (report *e2e.Report, err error) {
	defer func() { err = errors.Join(err, r.github.Unshare(context.WithoutCancel(ctx), r.staleBranch())) }()
	trial, err := r.trial()
	if err != nil {
		return nil, err
	}
	trial.Provider = journalled{Provider: trial.Provider, work: w}
	others, absent, err := r.compatible(ctx, &trial.Release)
	if err != nil {
		return nil, err
	}
	if trial.Stale, err = r.stale(ctx, &trial.Release, others); err != nil {
		return nil, err
	}
	trial.Others = others
	report = trial.Run(ctx)
	report.Results = append(report.Results, absent...)
	return report, nil
}

func (r *Release) trial() (*e2e.Trial, error) {
	released, err := readRelease(r.work("public"))
	if err != nil {
		return nil, err
	}
	if released.Node, err = readMeasurements(r.work(counterpartDir)); err != nil {
		return nil, err
	}
	policy, err := readPolicy(r.work("public"), r.Env.Config.Profile)
	if err != nil {
		return nil, err
	}
	client := r.Env.Client()
	verifier, err := tdx.NewVerifier(tdx.Config{Root: r.Env.TDXRoot, Collateral: tdx.NewCollateral(client), Now: time.Now})
	if err != nil {
		return nil, err
	}
	appraiser, err := r.appraiser()
	if err != nil {
		return nil, err
	}
	return &e2e.Trial{Release: *released, Appraiser: appraiser, Profiles: release.Profiles(),
		Provider: dstack.New(r.Env.DstackURL, r.Env.DstackKey.Reveal(), r.Env.Transport),
		Boot:     r.Env.Boot, Verifier: verifier, AllowedTCB: policy.AllowedTCBStatus, HTTP: client}, nil
}

// appraiser is Intel Trust Authority; nil without a key for it.
func (r *Release) appraiser() (e2e.Appraiser, error) {
	if r.Env.ITA.Key == "" {
		return nil, nil
	}
	return ita.New(r.Env.ITA)
}

// readRelease reads a KMS release from the folder into which the auditor
// downloaded it.
func readRelease(dir string) (*e2e.Release, error) {
	out := &e2e.Release{AppCompose: map[release.Profile][]byte{}}
	for _, profile := range release.Profiles() {
		data, err := os.ReadFile(filepath.Join(dir, release.ComposeAsset(profile)))
		if err != nil {
			return nil, err
		}
		out.AppCompose[profile] = data
		policy, err := readPolicy(dir, profile)
		if err != nil {
			return nil, err
		}
		out.NotReady = out.NotReady || policy.NotReady()
	}
	hashes, err := os.ReadFile(filepath.Join(dir, release.ComposeHashAsset))
	if err != nil {
		return nil, err
	}
	if out.ComposeHash, err = compose.ParseHashes(hashes); err != nil {
		return nil, err
	}
	out.KMS, err = readMeasurements(dir)
	return out, err
}

func readPolicy(dir string, profile release.Profile) (*policies.Policy, error) {
	data, err := os.ReadFile(filepath.Join(dir, release.PolicyAsset(profile)))
	if err != nil {
		return nil, err
	}
	return policies.Decode(data)
}

func readMeasurements(dir string) (*measurement.Published, error) {
	data, err := os.ReadFile(filepath.Join(dir, release.MeasurementsAsset))
	if err != nil {
		return nil, err
	}
	return measurement.Decode(data)
}

// Read is what an audited release, downloaded into dir, says of a profile.
func Read(dir string, profile release.Profile) (measurement.Profile, *policies.Policy, error) {
	published, err := readMeasurements(dir)
	if err != nil {
		return measurement.Profile{}, nil, err
	}
	policy, err := readPolicy(dir, profile)
	return published.Profiles[profile], policy, err
}
