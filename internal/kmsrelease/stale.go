package kmsrelease

import (
	"context"
	"encoding/hex"
	"slices"

	"github.com/calimero-network/mero-tee/internal/compose"
	"github.com/calimero-network/mero-tee/internal/e2e"
	"github.com/calimero-network/mero-tee/internal/github"
	"github.com/calimero-network/mero-tee/internal/measurement"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// stale prepares guardrail C: the production profile's policy as it was before
// the counterpart was promoted, where the deployed service can fetch it, and an
// app-compose file that names it. Nil when no older policy admits a node that
// is tried in this trial.
func (r *Release) stale(ctx context.Context, released *e2e.Release, others []e2e.Pair) (*e2e.Stale, error) {
	profile := r.Env.Config.Profile
	older, admitted, err := r.olderPolicy(profile, others)
	if older == nil || err != nil {
		return nil, err
	}
	data, err := older.Encode()
	if err != nil {
		return nil, err
	}
	name := release.PolicyAsset(profile)
	url, err := r.github.Share(ctx, github.Change{Base: baseBranch, Branch: r.staleBranch(), Path: "e2e/older-policy/" + name, Content: data,
		Message: "E2E of " + r.Tag.String() + ": the policy before " + r.counterpartName()})
	if err != nil {
		return nil, err
	}
	digest := measurement.Sum(data)
	app, err := compose.Reconfigure(released.AppCompose[profile], map[string]string{
		"MERO_KMS_POLICY_URL": url, "MERO_KMS_POLICY_SHA256": hex.EncodeToString(digest[:])})
	return &e2e.Stale{Profile: profile, AppCompose: app, Admitted: admitted}, err
}

// olderPolicy is the released policy without the counterpart, and one of the
// nodes tried that it admits; nil when there is none.
func (r *Release) olderPolicy(profile release.Profile, others []e2e.Pair) (*policies.Policy, release.Tag, error) {
	current, err := readPolicy(r.work("public"), profile)
	if err != nil {
		return nil, release.Tag{}, err
	}
	counterpart, err := r.counterpart()
	if err != nil || current.NotReady() {
		return nil, release.Tag{}, err
	}
	older, err := current.Without(counterpart)
	if err != nil {
		return nil, release.Tag{}, nil // the counterpart's is the first measurement ever
	}
	for _, pair := range others {
		names := func(m policies.Measurement) bool { return m.NodeRelease == pair.Node }
		if pair.KMS.KMS.Tag == r.Tag && slices.Contains(pair.Profiles, profile) && slices.ContainsFunc(older.Measurements, names) {
			return older, pair.Node, nil
		}
	}
	return nil, release.Tag{}, nil
}

func (r *Release) staleBranch() string { return "e2e/" + r.Tag.String() }

func (r *Release) counterpartName() string {
	return string(release.Node) + "-v" + r.Env.Config.TEEVersion
}
