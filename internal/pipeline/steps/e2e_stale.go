package steps

import (
	"context"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

// staleRegister is what is changed in a policy that is made stale: "Verify it fails (MRTD mismatch)."
const staleRegister = "mrtd"

// stale prepares guardrail C: "Deploy the new node-image with an old KMS
// policy." In a node release the released key service, unchanged, has one, in
// each profile. Where its policy admits the node already, an older one is made
// for the production profile. Nothing is stale where nothing is enforced.
func (t *Trial) stale(ctx context.Context, r *e2e.Release, pairs []e2e.Pair) (out []e2e.Stale) {
	if r.NotReady {
		return nil
	}
	production := t.Env.Config.Profile
	for _, p := range release.Profiles() {
		if r.Updated[p] != nil {
			c := e2e.Stale{Profile: p}
			if p == production {
				c.Admitted, c.Err = t.admitted(ctx, r, p, pairs)
			}
			out = append(out, c)
		}
	}
	if r.Updated[production] != nil {
		return out
	}
	made, err := t.olderPolicy(ctx, r, production, pairs)
	made.Profile, made.Err = production, err
	return append(out, made)
}

// olderPolicy is the policy as it was before the node release was promoted. From
// the second node release on it is a real one; when the policy admits no other,
// it is made stale on purpose: the same policy with another MRTD.
func (t *Trial) olderPolicy(ctx context.Context, r *e2e.Release, p release.Profile,
	pairs []e2e.Pair) (e2e.Stale, error) {
	current, err := ReadPolicy(t.KMS, p)
	if err != nil {
		return e2e.Stale{}, err
	}
	older, err := current.Without(r.Node.Tag)
	if err != nil { // it admits no other node release
		return t.madeStale(ctx, r, current)
	}
	out := e2e.Stale{Policy: "an older policy, without " + r.Node.Tag.String()}
	if out.AppCompose, err = t.reconfigure(ctx, r.AppCompose[p], older, "older-policy"); err != nil {
		return out, err
	}
	out.Admitted, err = t.admittedBy(ctx, older, r, pairs)
	return out, err
}

func (t *Trial) madeStale(ctx context.Context, r *e2e.Release, current *policies.Policy) (e2e.Stale, error) {
	out := e2e.Stale{Policy: "a policy made stale on purpose (another MRTD)", Register: staleRegister}
	older, err := current.WithOtherMRTD()
	if err != nil {
		return out, err
	}
	out.AppCompose, err = t.reconfigure(ctx, r.AppCompose[current.Profile], older, "stale-policy")
	return out, err
}

// admitted is a node release that the released policy admits.
func (t *Trial) admitted(ctx context.Context, r *e2e.Release, p release.Profile,
	pairs []e2e.Pair) (*measurement.Published, error) {
	policy, err := ReadPolicy(t.KMS, p)
	if err != nil {
		return nil, err
	}
	return t.admittedBy(ctx, policy, r, pairs)
}

// admittedBy is a node release that the older policy admits: one that is tried
// with this key service anyway, else the newest public one that the policy names.
// Nil when none is public.
func (t *Trial) admittedBy(ctx context.Context, older *policies.Policy, r *e2e.Release,
	pairs []e2e.Pair) (*measurement.Published, error) {
	for _, pair := range pairs {
		if pair.KMS.KMS.Tag == r.KMS.Tag && slices.Contains(pair.Profiles, older.Profile) &&
			len(policies.Naming(older.Measurements, pair.Node.Tag)) > 0 {
			return pair.Node, nil
		}
	}
	tags, err := t.Published.Tags(ctx, release.Node)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tags, func(a, b release.Tag) int { return b.Version.Compare(a.Version) })
	i := slices.IndexFunc(tags, func(tag release.Tag) bool { return len(policies.Naming(older.Measurements, tag)) > 0 })
	if i < 0 {
		return nil, nil
	}
	dir, err := t.Published.Audited(ctx, tags[i])
	if err != nil {
		return nil, err
	}
	return ReadMeasurements(dir)
}
