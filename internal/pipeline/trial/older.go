package trial

import (
	"context"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

// stale prepares guardrail C: the production profile's policy as it was before
// the node release was promoted, where the deployed service can fetch it, and
// an app-compose file that names it. Nil when no older policy admits a node
// that is tried in this trial.
func (t *Trial) stale(ctx context.Context, released *e2e.Release, others []e2e.Pair) (*e2e.Stale, error) {
	profile := t.lane.Env.Config.Profile
	older, err := t.olderPolicy(profile, released.Node.Tag)
	if older == nil || err != nil {
		return nil, err
	}
	admitted := admittedBy(older, released, others)
	if admitted == nil {
		return nil, nil
	}
	app, err := t.reconfigure(ctx, released.AppCompose[profile], older, "older-policy")
	return &e2e.Stale{Profile: profile, AppCompose: app, Admitted: admitted}, err
}

// olderPolicy is the released policy without the node release; nil when nothing is left of it.
func (t *Trial) olderPolicy(profile release.Profile, node release.Tag) (*policies.Policy, error) {
	current, err := steps.ReadPolicy(t.kmsDir(), profile)
	if err != nil || current.NotReady() {
		return nil, err
	}
	older, err := current.Without(node)
	if err != nil {
		return nil, nil //nolint:nilerr // the node release's is the first measurement ever
	}
	return older, nil
}

// admittedBy is one of the other nodes tried with this key service that the older policy admits.
func admittedBy(older *policies.Policy, released *e2e.Release, others []e2e.Pair) *measurement.Published {
	for _, pair := range others {
		names := func(m policies.Measurement) bool { return m.NodeRelease == pair.Node.Tag }
		if pair.KMS.KMS.Tag == released.KMS.Tag && slices.Contains(pair.Profiles, older.Profile) && slices.ContainsFunc(older.Measurements, names) {
			return pair.Node
		}
	}
	return nil
}
