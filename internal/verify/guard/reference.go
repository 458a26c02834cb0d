package guard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func (in PairInput) references(ctx context.Context, counterpart release.Tag) (check.Result, error) {
	if in.Tag.Family == release.KMS {
		ev, err := in.Releases.Measurements(ctx, counterpart)
		if err != nil {
			return check.Result{}, fmt.Errorf("measurements of %s: %w", counterpart, err)
		}
		return WorkingReferences(in.Tag, in.Working, ev), nil
	}
	set, err := in.Releases.Policies(ctx, counterpart)
	if err != nil {
		return check.Result{}, fmt.Errorf("policies of %s: %w", counterpart, err)
	}
	published, err := in.evidence(ctx, set)
	if err != nil {
		return check.Result{}, err
	}
	return PolicyReferences(in.Tag, counterpart, set, published), nil
}

// evidence reads what the node releases named in the policies publish; one that does not exist is left out.
func (in PairInput) evidence(ctx context.Context, set map[release.Profile]*policies.Policy) (map[release.Tag]policies.Evidence, error) {
	tags, err := in.Releases.Tags(ctx, release.Node)
	if err != nil {
		return nil, fmt.Errorf("list releases of %s: %w", release.Node, err)
	}
	out := map[release.Tag]policies.Evidence{}
	for _, p := range set {
		for _, m := range p.Measurements {
			if _, have := out[m.NodeRelease]; have || !slices.Contains(tags, m.NodeRelease) {
				continue
			}
			if out[m.NodeRelease], err = in.Releases.Measurements(ctx, m.NodeRelease); err != nil {
				return nil, fmt.Errorf("measurements of %s: %w", m.NodeRelease, err)
			}
		}
	}
	return out, nil
}

// WorkingReferences is check 3 for a KMS release: the tuples in policies/ that
// name the counterpart equal what it publishes and are not revoked. A stable
// release needs one in every profile; a candidate may go without, with
// policy_not_ready.
func WorkingReferences(t release.Tag, working map[release.Profile]*policies.Working, ev policies.Evidence) check.Result {
	var missing []string
	for _, p := range release.Profiles() {
		w := working[p]
		if w == nil {
			return check.Fail(referencesName, fault.MissingAsset, "no working policy", policies.File(p), "nothing")
		}
		named := policies.Naming(w.Measurements, ev.Tag)
		if len(named) == 0 {
			missing = append(missing, string(p))
		}
		for _, m := range named {
			if r := w.Revocation(m.Registers); r != nil {
				return check.Fail(referencesName, fault.Verification, fmt.Sprintf("the %s measurement of %s is revoked: %s", p, ev.Tag, r.Reason), "a measurement that stands", m.MRTD.String())
			}
			if err := sameAsPublished(p, m, ev); err != nil {
				return check.Of(referencesName, err)
			}
		}
	}
	if len(missing) == 0 {
		return check.Pass(referencesName)
	}
	return unreferenced(t, fmt.Sprintf("no measurement of %s is promoted for %s", ev.Tag, strings.Join(missing, ", ")), "policy:promote")
}

// PolicyReferences is check 3 for a node release: every tuple in the
// counterpart KMS's published policies comes from a node release that exists
// and publishes it.
func PolicyReferences(t, kms release.Tag, set map[release.Profile]*policies.Policy, published map[release.Tag]policies.Evidence) check.Result {
	tuples := 0
	for _, p := range release.Profiles() {
		policy := set[p]
		if policy == nil {
			return check.Fail(referencesName, fault.MissingAsset, kms.String()+" lacks a policy", release.PolicyAsset(p), "nothing")
		}
		for _, m := range policy.Measurements {
			tuples++
			ev, exists := published[m.NodeRelease]
			if !exists {
				return check.Fail(referencesName, fault.Verification, fmt.Sprintf("%s of %s names a node release that does not exist", release.PolicyAsset(p), kms), m.NodeRelease.String(), "no such release")
			}
			if err := sameAsPublished(p, m, ev); err != nil {
				return check.Of(referencesName, err)
			}
		}
	}
	if tuples == 0 {
		return unreferenced(t, fmt.Sprintf("the policies of %s hold no measurement yet", kms), "release a KMS candidate that is paired with a node release")
	}
	return check.Pass(referencesName)
}

// unreferenced is what having nothing to compare means for the class of the release.
func unreferenced(t release.Tag, reason, hint string) check.Result {
	if t.Stable() {
		return check.Fail(referencesName, fault.Verification, reason, "a measurement of the counterpart in every profile's policy", "none").WithHint(hint)
	}
	return check.NotApplicable(referencesName, reason+" (policy_not_ready)")
}

func sameAsPublished(p release.Profile, m policies.Measurement, ev policies.Evidence) error {
	regs, ok := ev.Registers[p]
	if !ok {
		return fault.Mismatch(fmt.Sprintf("%s publishes no measurement of %s", ev.Tag, p), string(p), "nothing")
	}
	if m.Refreshed() { // seen after the release, on a platform that moved: only the image is the release's
		if !policies.SameImage(regs, m.Registers) {
			return fault.Mismatch(fmt.Sprintf("the refreshed measurement of %s in the %s policy is of another image", ev.Tag, p),
				regs.RTMR2.String(), m.RTMR2.String())
		}
		return nil
	}
	if m.Evidence != ev.Digest {
		return fault.Mismatch(fmt.Sprintf("%s of %s is not the evidence in the %s policy",
			release.MeasurementsAsset, ev.Tag, p),
			m.Evidence, ev.Digest)
	}
	if diffs := regs.Compare(m.Registers); len(diffs) > 0 {
		names := make([]string, len(diffs))
		for i, d := range diffs {
			names[i] = d.Name
		}
		return fault.Mismatch(fmt.Sprintf("%s of %s in the %s policy differs from what is published",
			strings.Join(names, ", "), ev.Tag, p),
			diffs[0].Want.String(), diffs[0].Got.String())
	}
	return nil
}
