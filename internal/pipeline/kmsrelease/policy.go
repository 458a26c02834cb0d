package kmsrelease

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func policyAssets() []string {
	var out []string
	for _, profile := range release.Profiles() {
		out = append(out, release.PolicyAsset(profile))
	}
	return out
}

// generatePolicies is a pure function of policies/ and the counterpart's
// published measurements, both digested by the guards' step.
func (p *Pipeline) generatePolicies(ctx context.Context, w *pipeline.Work) error {
	working, err := policies.LoadDir(os.DirFS(p.Checkout.Policies))
	if err != nil {
		return err
	}
	evidence, err := p.counterpartEvidence()
	if err != nil {
		return err
	}
	set := map[release.Profile]*policies.Policy{}
	for _, profile := range release.Profiles() {
		policy, err := policies.Generate(working[profile], p.Tag.Version, evidence)
		if err != nil {
			return fmt.Errorf("profile %s: %w", profile, err)
		}
		if policy.NotReady() {
			w.Warnf("the policy of %s is %s: it enforces no register yet", profile, policy.Status)
		}
		if err := p.publishedAll(ctx, policy); err != nil {
			return err
		}
		set[profile] = policy
	}
	if err := policies.CheckSet(set); err != nil {
		return err
	}
	for profile, policy := range set {
		if err := p.EncodeAsset(release.PolicyAsset(profile), policy); err != nil {
			return err
		}
	}
	return nil
}

// publishedAll: each tuple is what the node release that it names publishes, which
// guard 3 verified and left where this step finds it.
func (p *Pipeline) publishedAll(ctx context.Context, policy *policies.Policy) error {
	published, err := p.Verified(ctx, policies.NodeReleases(policy.Measurements))
	if err != nil {
		return err
	}
	for _, m := range policy.Measurements {
		if err := published.Judge(policy.Profile, m, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// counterpartEvidence reads what the guards verified; nothing when the node family has no release yet.
func (p *Pipeline) counterpartEvidence() (policies.Evidence, error) {
	if there, err := p.HasCounterpart(); err != nil || !there {
		return policies.Evidence{}, err
	}
	return steps.ReadEvidence(p.CounterpartDir())
}
