package kmsrelease

import (
	"context"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/audit"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// published answers guard 3 from GitHub. What it returns was audited first:
// an unsigned measurement is no measurement.
type published struct{ r *Release }

func (p published) Tags(ctx context.Context, f release.Family) ([]release.Tag, error) {
	all, err := p.r.github.Releases(ctx)
	if err != nil {
		return nil, err
	}
	var out []release.Tag
	for _, rel := range all {
		if tag, err := release.ParseTag(rel.TagName); err == nil && tag.Family == f && !rel.Draft {
			out = append(out, tag)
		}
	}
	return out, nil
}

func (p published) Measurements(ctx context.Context, node release.Tag) (policies.Evidence, error) {
	dir := p.r.work(counterpartDir)
	if err := p.audited(ctx, node, dir); err != nil {
		return policies.Evidence{}, err
	}
	data, err := os.ReadFile(filepath.Join(dir, release.MeasurementsAsset))
	if err != nil {
		return policies.Evidence{}, err
	}
	return policies.EvidenceOf(data)
}

func (p published) Policies(ctx context.Context, kms release.Tag) (map[release.Profile]*policies.Policy, error) {
	dir := p.r.work("policies-" + kms.String())
	if err := p.audited(ctx, kms, dir); err != nil {
		return nil, err
	}
	out := map[release.Profile]*policies.Policy{}
	for _, profile := range release.Profiles() {
		data, err := os.ReadFile(filepath.Join(dir, release.PolicyAsset(profile)))
		if err != nil {
			return nil, err
		}
		if out[profile], err = policies.Decode(data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// audited downloads a public release and refuses it unless every check passes.
func (p published) audited(ctx context.Context, tag release.Tag, dir string) error {
	report, err := p.r.examine(ctx, &audit.GitHub{Client: p.r.github, Tag: tag.String()}, dir, audit.Subject{Tag: tag})
	if err != nil {
		return err
	}
	if err := report.Results.Err(); err != nil {
		return &fault.Error{Code: fault.CodeOf(err), Message: tag.String() + " does not pass its audit", Err: err,
			Hint: "see `go tool mage verify:release " + tag.String() + "`"}
	}
	return nil
}

// examine fills in whom this environment believes and runs the audit.
func (r *Release) examine(ctx context.Context, src audit.Source, dir string, s audit.Subject) (*audit.Report, error) {
	trust, err := r.Env.Trust(ctx)
	if err != nil {
		return nil, err
	}
	s.Repository, s.Trust, s.TDXRoot = r.Env.Config.Repository, trust, r.Env.TDXRoot
	return audit.Release(ctx, src, dir, s)
}
