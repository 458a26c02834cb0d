package kmsrelease

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/compose"
	"github.com/calimero-network/mero-tee/internal/dstack"
	"github.com/calimero-network/mero-tee/internal/e2e"
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
	Checks   []string          `json:"checks"`
}

// e2e runs what the audit downloaded, not what was built. "RC: E2E may be
// advisory": a candidate's failure is shown and recorded, and does not block.
func (r *Release) e2e(ctx context.Context, w *pipeline.Work) error {
	trial, err := r.trial()
	if err != nil {
		return err
	}
	report := trial.Run(ctx)
	if r.Tag.Stable() {
		report.Results = report.Results.Strict()
	}
	report.Results.Print(w.Console)
	err = report.Results.Err()
	record := e2eRecord{Tag: r.Tag.String(), Node: report.Node.String(), Profiles: report.Profiles, Passed: err == nil, Checks: names(report.Results)}
	if err != nil && r.Tag.Stable() {
		return err
	}
	if err != nil {
		w.Warnf("E2E is advisory for a release candidate: %v", err)
	}
	return writeJSON(r.work(e2eFile), record)
}

func (r *Release) trial() (*e2e.Trial, error) {
	released, allowed, err := r.audited()
	if err != nil {
		return nil, err
	}
	client := r.Env.Client()
	verifier, err := tdx.NewVerifier(tdx.Config{Root: r.Env.TDXRoot, Collateral: tdx.NewCollateral(client), Now: time.Now})
	if err != nil {
		return nil, err
	}
	return &e2e.Trial{Release: *released, Profiles: release.Profiles(),
		Provider: dstack.New(r.Env.DstackURL, r.Env.DstackKey.Reveal(), r.Env.Transport),
		Boot:     r.Env.Boot, Verifier: verifier, AllowedTCB: allowed, HTTP: client}, nil
}

// audited reads the release from the folder into which the auditor downloaded
// it, and the TCB statuses that its production policy allows.
func (r *Release) audited() (*e2e.Release, []string, error) {
	dir := r.work("public")
	read := func(dir, name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) }
	out := &e2e.Release{AppCompose: map[release.Profile][]byte{}}
	for _, profile := range release.Profiles() {
		data, err := read(dir, release.ComposeAsset(profile))
		if err != nil {
			return nil, nil, err
		}
		out.AppCompose[profile] = data
	}
	hashes, err := read(dir, release.ComposeHashAsset)
	if err != nil {
		return nil, nil, err
	}
	if out.ComposeHash, err = compose.ParseHashes(hashes); err != nil {
		return nil, nil, err
	}
	if out.KMS, err = readMeasurements(dir); err != nil {
		return nil, nil, err
	}
	if out.Node, err = readMeasurements(r.work(counterpartDir)); err != nil {
		return nil, nil, err
	}
	policy, err := read(dir, release.PolicyAsset(r.Env.Config.Profile))
	if err != nil {
		return nil, nil, err
	}
	p, err := policies.Decode(policy)
	if err != nil {
		return nil, nil, err
	}
	out.NotReady = p.NotReady()
	return out, p.AllowedTCBStatus, nil
}

func readMeasurements(dir string) (*measurement.Published, error) {
	data, err := os.ReadFile(filepath.Join(dir, release.MeasurementsAsset))
	if err != nil {
		return nil, err
	}
	return measurement.Decode(data)
}
