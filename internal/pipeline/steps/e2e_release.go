package steps

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

// updated makes, for each profile of a KMS release whose policy enforces
// registers and does not admit the node release, an app-compose file that names
// the policy which the promotion will make: a node release comes before any key
// service whose policy could admit it. It is the one change that a released
// service is tried with; dir has the release's assets.
func (t *Trial) updated(ctx context.Context, dir string, r *e2e.Release) (map[release.Profile][]byte, error) {
	evidence, err := ReadEvidence(t.Node)
	if err != nil {
		return nil, err
	}
	out := map[release.Profile][]byte{}
	for _, profile := range release.Profiles() {
		policy, err := ReadPolicy(dir, profile)
		if err != nil {
			return nil, err
		}
		promoted, err := policy.With(evidence)
		if err != nil {
			return nil, err
		}
		if promoted == policy || policy.NotReady() {
			continue
		}
		folder := "updated-policy/" + r.KMS.Tag.String()
		if out[profile], err = t.reconfigure(ctx, r.AppCompose[profile], promoted, folder); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// reconfigure is an app-compose file that names another policy, which is shared
// where the deployed service can fetch it. No release signed it: the pin in the
// measured file vouches for it.
func (t *Trial) reconfigure(ctx context.Context, app []byte, policy *policies.Policy, folder string) ([]byte, error) {
	data, err := policy.Encode()
	if err != nil {
		return nil, err
	}
	name := release.PolicyAsset(policy.Profile)
	url, err := t.GitHub.Share(ctx, github.Change{Base: BaseBranch, Branch: t.branch(),
		Path: "e2e/" + folder + "/" + name, Content: data,
		Message: "E2E of " + t.Name + ": " + folder + " of " + string(policy.Profile)})
	if err != nil {
		return nil, err
	}
	digest := digest.Of(data)
	return compose.Reconfigure(app, map[string]string{
		"MERO_KMS_POLICY_URL": url, "MERO_KMS_POLICY_SHA256": hex.EncodeToString(digest[:]),
		"MERO_KMS_POLICY_SIGNATURE": "none"})
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
