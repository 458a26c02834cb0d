package audit

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/release"
)

// service is the compose file's one service.
const service = "mero-kms"

// composeFiles recomputes every compose hash from the bytes beside it, and
// compares what the file would run with the rest of the release.
func (a *auditor) composeFiles(published *measurement.Published) {
	data, err := a.read(release.ComposeHashAsset, canonical.MaxSize)
	if err != nil {
		a.add(check.Of("compose hashes", err))
		return
	}
	listed, err := compose.ParseHashes(data)
	if err != nil {
		a.add(check.Of("compose hashes", err))
		return
	}
	for _, profile := range release.Profiles() {
		a.add(check.Of("compose hash of "+string(profile), a.composeHash(profile, listed[profile], published)),
			check.Of("compose file of "+string(profile)+" runs this release", a.composeFile(profile, published)))
	}
}

func (a *auditor) composeHash(profile release.Profile, listed digest.Digest, published *measurement.Published) error {
	hash, ok := a.digests[release.ComposeAsset(profile)]
	switch {
	case !ok:
		return &fault.Error{Code: fault.MissingAsset, Message: release.ComposeAsset(profile) + " is missing from the release"}
	case hash != listed:
		return fault.Mismatch(release.ComposeHashAsset+" says otherwise", listed.Hex(), hash.Hex())
	case published == nil:
		return nil // said under "measurements"
	}
	if got := published.Profiles[profile].Image.ComposeHash; got != hash {
		return fault.Mismatch(release.MeasurementsAsset+" says otherwise", got.String(), hash.String())
	}
	return nil
}

// composeFile reads what the measured file runs: the published image, this
// version and profile, the released policy, and the one root of trust.
func (a *auditor) composeFile(profile release.Profile, published *measurement.Published) error {
	data, err := a.read(release.ComposeAsset(profile), canonical.MaxSize)
	if err != nil {
		return err
	}
	app, err := compose.ParseApp(data)
	if err != nil {
		return err
	}
	services, err := app.Services()
	if err != nil {
		return err
	}
	s, ok := services[service]
	if !ok || len(services) != 1 {
		return fault.Mismatch("the compose file runs other services", "only "+service,
			fmt.Sprintf("%d services", len(services)))
	}
	policy := a.digests[release.PolicyAsset(profile)]
	for _, want := range [][2]string{
		{"MERO_KMS_VERSION", a.Tag.Version.String()},
		{"MERO_KMS_PROFILE", string(profile)},
		{"MERO_KMS_POLICY_SHA256", policy.Hex()},
		{"MERO_KMS_TDX_ROOT_SHA256", hex.EncodeToString(a.TDXRoot[:])},
	} {
		if got := s.Environment[want[0]]; got != want[1] {
			return fault.Mismatch(want[0], want[1], got)
		}
	}
	if published == nil {
		return nil
	}
	if want := published.Profiles[profile].Image.Digest.String(); !strings.HasSuffix(s.Image, "@"+want) {
		return fault.Mismatch("the compose file runs another image than the published one", want, s.Image)
	}
	return nil
}
