package trial

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

// kmsDir and nodeDir are the folders of audited assets of the two releases that are tried together.
func (t *Trial) kmsDir() string  { return t.side(release.KMS) }
func (t *Trial) nodeDir() string { return t.side(release.Node) }

func (t *Trial) side(f release.Family) string {
	if t.lane.Tag.Family == f {
		return t.lane.Public()
	}
	return t.lane.CounterpartDir()
}

// released is the key service and the nodes that are tried. A node release
// comes before any key service whose policy could admit it: for its trial the
// newest key service gets the policy that the promotion will make.
func (t *Trial) released(ctx context.Context) (*e2e.Release, error) {
	out, err := readRelease(t.kmsDir())
	if err != nil {
		return nil, err
	}
	if out.Node, err = steps.ReadMeasurements(t.nodeDir()); err != nil {
		return nil, err
	}
	if t.lane.Tag.Family == release.KMS {
		return out, nil
	}
	return out, t.promoteInto(ctx, out, t.kmsDir())
}

// promoteInto gives each key service of a release, whose assets are in dir, the
// policy with this node release's measurements.
func (t *Trial) promoteInto(ctx context.Context, r *e2e.Release, dir string) error {
	evidence, err := steps.ReadEvidence(t.nodeDir())
	if err != nil {
		return err
	}
	for _, profile := range release.Profiles() {
		policy, err := steps.ReadPolicy(dir, profile)
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
		app, err := t.reconfigure(ctx, r.AppCompose[profile], promoted, "updated-policy/"+r.KMS.Tag.String())
		if err != nil {
			return err
		}
		hash := compose.Hash(app)
		r.AppCompose[profile], r.ComposeHash[profile] = app, hash
		r.KMS.Profiles[profile] = r.KMS.Profiles[profile].Rehashed(hash)
	}
	return nil
}

// reconfigure is an app-compose file that names another policy, which is shared
// where the deployed service can fetch it.
func (t *Trial) reconfigure(ctx context.Context, app []byte, policy *policies.Policy, folder string) ([]byte, error) {
	data, err := policy.Encode()
	if err != nil {
		return nil, err
	}
	name := release.PolicyAsset(policy.Profile)
	url, err := t.lane.GitHub.Share(ctx, github.Change{Base: steps.BaseBranch, Branch: t.branch(), Path: "e2e/" + folder + "/" + name, Content: data,
		Message: "E2E of " + t.lane.Tag.String() + ": " + folder + " of " + string(policy.Profile)})
	if err != nil {
		return nil, err
	}
	digest := measurement.Sum(data)
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
		policy, err := steps.ReadPolicy(dir, profile)
		if err != nil {
			return nil, err
		}
		out.NotReady = out.NotReady || policy.NotReady()
	}
	hashes, err := os.ReadFile(filepath.Join(dir, release.ComposeHashAsset))
	if err != nil {
		return nil, err
	}
	if out.ComposeHash, err = compose.ParseHashes(hashes); err != nil {
		return nil, err
	}
	out.KMS, err = steps.ReadMeasurements(dir)
	return out, err
}
