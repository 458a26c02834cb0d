package steps

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

// kmsDir and nodeDir are the folders of audited assets of the two releases that are tested together.
func (r *Release) kmsDir() string  { return r.familyDir(release.KMS) }
func (r *Release) nodeDir() string { return r.familyDir(release.Node) }

func (r *Release) familyDir(f release.Family) string {
	if r.Tag.Family == f {
		return r.Public()
	}
	return r.CounterpartDir()
}

// e2eRelease is the key service and the nodes that are tested. A node release
// comes before any key service whose policy could admit it: for its test the
// newest key service gets the policy that the promotion will make.
func (r *Release) e2eRelease(ctx context.Context) (*e2e.Release, error) {
	out, err := readRelease(r.kmsDir())
	if err != nil {
		return nil, err
	}
	if out.Node, err = ReadMeasurements(r.nodeDir()); err != nil {
		return nil, err
	}
	if r.Tag.Family == release.KMS {
		return out, nil
	}
	return out, r.promoteInto(ctx, out, r.kmsDir())
}

// promoteInto gives each key service of a release, whose assets are in dir, the
// policy with this node release's measurements.
func (r *Release) promoteInto(ctx context.Context, tested *e2e.Release, dir string) error {
	evidence, err := ReadEvidence(r.nodeDir())
	if err != nil {
		return err
	}
	for _, profile := range release.Profiles() {
		policy, err := ReadPolicy(dir, profile)
		if err != nil {
			return err
		}
		promoted, err := policy.With(evidence)
		if err != nil {
			return err
		}
		if promoted == policy { // it admits the release as it is
			continue
		}
		app, err := r.reconfigure(ctx, tested.AppCompose[profile], promoted, "updated-policy/"+tested.KMS.Tag.String())
		if err != nil {
			return err
		}
		hash := compose.Hash(app)
		tested.AppCompose[profile], tested.ComposeHash[profile] = app, hash
		tested.KMS.Profiles[profile] = tested.KMS.Profiles[profile].Rehashed(hash)
	}
	return nil
}

// reconfigure is an app-compose file that names another policy, which is shared
// where the deployed service can fetch it.
func (r *Release) reconfigure(ctx context.Context, app []byte, policy *policies.Policy, folder string) ([]byte, error) {
	data, err := policy.Encode()
	if err != nil {
		return nil, err
	}
	name := release.PolicyAsset(policy.Profile)
	url, err := r.GitHub.Share(ctx, github.Change{Base: BaseBranch, Branch: r.e2eBranch(),
		Path: "e2e/" + folder + "/" + name, Content: data,
		Message: "E2E of " + r.Tag.String() + ": " + folder + " of " + string(policy.Profile)})
	if err != nil {
		return nil, err
	}
	digest := digest.Of(data)
	return compose.Reconfigure(app, map[string]string{
		"MERO_KMS_POLICY_URL": url, "MERO_KMS_POLICY_SHA256": hex.EncodeToString(digest[:])})
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
		policy, err := ReadPolicy(dir, profile)
		if err != nil {
			return nil, err
		}
		out.NotReady = out.NotReady || policy.NotReady()
	}
	var err error
	if out.ComposeHash, err = decoded(dir, release.ComposeHashAsset, compose.ParseHashes); err != nil {
		return nil, err
	}
	out.KMS, err = ReadMeasurements(dir)
	return out, err
}

// stale prepares guardrail C: the production profile's policy as it was before
// the node release was promoted, where the deployed service can fetch it, and
// an app-compose file that names it. Nil when no older policy admits a node
// that is tested here.
func (r *Release) stale(ctx context.Context, released *e2e.Release, others []e2e.Pair) (*e2e.Stale, error) {
	profile := r.Env.Config.Profile
	older, err := r.olderPolicy(profile, released.Node.Tag)
	if older == nil || err != nil {
		return nil, err
	}
	admitted := admittedBy(older, released, others)
	if admitted == nil {
		return nil, nil
	}
	app, err := r.reconfigure(ctx, released.AppCompose[profile], older, "older-policy")
	return &e2e.Stale{Profile: profile, AppCompose: app, Admitted: admitted}, err
}

// olderPolicy is the released policy without the node release; nil when nothing is left of it.
func (r *Release) olderPolicy(profile release.Profile, node release.Tag) (*policies.Policy, error) {
	current, err := ReadPolicy(r.kmsDir(), profile)
	if err != nil || current.NotReady() {
		return nil, err
	}
	older, err := current.Without(node)
	if err != nil {
		return nil, nil //nolint:nilerr // the node release's is the first measurement ever
	}
	return older, nil
}

// admittedBy is one of the other nodes tested with this key service that the older policy admits.
func admittedBy(older *policies.Policy, released *e2e.Release, others []e2e.Pair) *measurement.Published {
	for _, pair := range others {
		names := func(m policies.Measurement) bool { return m.NodeRelease == pair.Node.Tag }
		if pair.KMS.KMS.Tag == released.KMS.Tag && slices.Contains(pair.Profiles, older.Profile) &&
			slices.ContainsFunc(older.Measurements, names) {
			return pair.Node
		}
	}
	return nil
}
