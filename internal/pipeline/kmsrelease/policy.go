package kmsrelease

import (
	"context"
	"fmt"
	"os"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func policyAssets() []string {
	var out []string
	for _, p := range release.Profiles() {
		out = append(out, release.PolicyAsset(p))
	}
	return out
}

// generatePolicies is a pure function of policies/ and the counterpart's
// published measurements, both digested by the guards' step.
func (r *Release) generatePolicies(_ context.Context, w *pipeline.Work) error {
	working, err := policies.LoadDir(os.DirFS(r.Checkout.Policies))
	if err != nil {
		return err
	}
	evidence, err := r.counterpartEvidence()
	if err != nil {
		return err
	}
	set := map[release.Profile]*policies.Policy{}
	for _, profile := range release.Profiles() {
		p, err := policies.Generate(working[profile], r.Tag.Version, evidence)
		if err != nil {
			return fmt.Errorf("profile %s: %w", profile, err)
		}
		if p.NotReady() {
			w.Warnf("the policy of %s is %s: it enforces no register yet", profile, p.Status)
		}
		set[profile] = p
	}
	if err := policies.CheckSet(set); err != nil {
		return err
	}
	for profile, p := range set {
		data, err := p.Encode()
		if err != nil {
			return err
		}
		if err := r.WriteAsset(release.PolicyAsset(profile), data); err != nil {
			return err
		}
	}
	return nil
}

// counterpartEvidence reads what the guards verified; nothing when the node family has no release yet.
func (r *Release) counterpartEvidence() (policies.Evidence, error) {
	if there, err := r.HasCounterpart(); err != nil || !there {
		return policies.Evidence{}, err
	}
	return steps.ReadEvidence(r.CounterpartDir())
}
