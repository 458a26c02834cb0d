package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/policies"
)

// Published answers from GitHub. What it returns was audited first: an unsigned
// measurement is no measurement.
type Published struct {
	env    *environment.Environment
	github *github.Client
	dir    string // has a folder for each release that was audited
}

// NewPublished keeps what it audits under dir.
func NewPublished(env *environment.Environment, client *github.Client, dir string) Published {
	return Published{env, client, dir}
}

// Published is what others released, as a stranger sees it.
func (r *Release) Published() Published { return NewPublished(r.Env, r.GitHub, r.Work("audited")) }

// CounterpartDir is the folder of the counterpart's assets as the guards
// verified them; they are absent when the other family has no release yet.
func (r *Release) CounterpartDir() string {
	tag, err := r.Counterpart()
	if err != nil {
		return r.Work("audited", "none")
	}
	return r.auditedDir(tag)
}

// HasCounterpart says whether the other family has a release, which the guards verified.
func (r *Release) HasCounterpart() (bool, error) {
	_, err := os.Stat(filepath.Join(r.CounterpartDir(), release.MeasurementsAsset))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (r *Release) auditedDir(tag release.Tag) string { return r.Work("audited", tag.String()) }

// Verified are what these node releases publish, as the guards of this release
// verified them; one that they did not is left out.
func (r *Release) Verified(_ context.Context, nodes []release.Tag) (policies.Published, error) {
	out := policies.Published{}
	for _, node := range nodes {
		ev, err := ReadEvidence(r.auditedDir(node))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[node] = ev
	}
	return out, nil
}

// Named are what the node releases of these tags publish; one that is not public is left out.
func (p Published) Named(ctx context.Context, tags []release.Tag) (policies.Published, error) {
	public, err := p.Tags(ctx, release.Node)
	if err != nil {
		return nil, err
	}
	out := policies.Published{}
	for _, tag := range tags {
		if _, have := out[tag]; have || !slices.Contains(public, tag) {
			continue
		}
		if out[tag], err = p.Measurements(ctx, tag); err != nil {
			return nil, fmt.Errorf("measurements of %s: %w", tag, err)
		}
	}
	return out, nil
}

// Tags lists the published releases of a family.
func (p Published) Tags(ctx context.Context, f release.Family) ([]release.Tag, error) {
	all, err := p.github.Releases(ctx)
	if err != nil {
		return nil, err
	}
	return PublicTags(all, f), nil
}

// PublicTags are the tags of a family's releases that are no drafts.
func PublicTags(all []github.Release, f release.Family) []release.Tag {
	var out []release.Tag
	for _, rel := range all {
		if tag, err := release.ParseTag(rel.TagName); err == nil && tag.Family == f && !rel.Draft {
			out = append(out, tag)
		}
	}
	return out
}

// Has says whether a release is public.
func (p Published) Has(ctx context.Context, tag release.Tag) (bool, error) {
	tags, err := p.Tags(ctx, tag.Family)
	return slices.Contains(tags, tag), err
}

// Measurements reads what a node release publishes.
func (p Published) Measurements(ctx context.Context, node release.Tag) (policies.Evidence, error) {
	dir, err := p.Audited(ctx, node)
	if err != nil {
		return policies.Evidence{}, err
	}
	return ReadEvidence(dir)
}

// Policies reads the policies of a KMS release.
func (p Published) Policies(ctx context.Context, kms release.Tag) (map[release.Profile]*policies.Policy, error) {
	dir, err := p.audited(ctx, kms, nil) // guard 3 judges the tuples itself, and says which
	if err != nil {
		return nil, err
	}
	out := map[release.Profile]*policies.Policy{}
	for _, profile := range release.Profiles() {
		if out[profile], err = ReadPolicy(dir, profile); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Audited downloads a public release into a folder of its own and refuses it
// unless every check passes.
func (p Published) Audited(ctx context.Context, tag release.Tag) (string, error) {
	return p.audited(ctx, tag, p.Named)
}

func (p Published) audited(ctx context.Context, tag release.Tag, named audit.Published) (string, error) {
	dir := filepath.Join(p.dir, tag.String())
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	report, err := examine(ctx, p.env, &audit.GitHub{Client: p.github, Tag: tag.String()}, dir,
		audit.Subject{Tag: tag, Published: named})
	if err != nil {
		return "", err
	}
	if err := report.Results.Err(); err != nil {
		return "", &fault.Error{Code: fault.CodeOf(err), Message: tag.String() + " does not pass its audit", Err: err,
			Hint: "see `go tool mage verify:release " + tag.String() + "`"}
	}
	return dir, nil
}

// examine fills in whom this environment believes and runs the audit.
func examine(ctx context.Context, env *environment.Environment, src audit.Source, dir string,
	s audit.Subject) (*audit.Report, error) {
	trust, err := env.Trust(ctx)
	if err != nil {
		return nil, err
	}
	if s.Verifier, err = env.Verifier(); err != nil {
		return nil, err
	}
	s.Repository, s.Trust, s.TDXRoot = env.Config.Repository, trust, env.TDXRoot
	s.GoogleRoot = env.GoogleRoot
	s.Sources, s.Platforms = git.Tree(env.Root), env.Platforms()
	return audit.Release(ctx, src, dir, s)
}

// ReadPolicy reads one profile's policy from a folder of audited assets.
func ReadPolicy(dir string, profile release.Profile) (*policies.Policy, error) {
	return decoded(dir, release.PolicyAsset(profile), policies.Decode)
}

// ReadEvidence reads what published-mrtds.json, in a folder of assets, says to a policy.
func ReadEvidence(dir string) (policies.Evidence, error) {
	return decoded(dir, release.MeasurementsAsset, policies.EvidenceOf)
}

// ReadMeasurements reads published-mrtds.json from a folder of assets.
func ReadMeasurements(dir string) (*measurement.Published, error) {
	return decoded(dir, release.MeasurementsAsset, measurement.Decode)
}

// decoded is an asset in a folder of assets.
func decoded[T any](dir, asset string, decode func([]byte) (T, error)) (out T, err error) {
	data, err := os.ReadFile(filepath.Join(dir, asset))
	if err != nil {
		return out, err
	}
	return decode(data)
}
