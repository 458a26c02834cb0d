package audit

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
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
func (a *auditor) composeFiles(ctx context.Context, published *measurement.Published) {
	data, err := a.read(release.ComposeHashAsset)
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
		if published != nil { // else said under "measurements"
			a.add(a.composeSource(ctx, profile, published))
		}
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
	data, err := a.read(release.ComposeAsset(profile))
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
		{"MERO_KMS_POLICY_URL", a.policyURL(profile)},
		{"MERO_KMS_POLICY_SHA256", policy.Hex()},
		{"MERO_KMS_TDX_ROOT_SHA256", hex.EncodeToString(a.TDXRoot[:])},
		{"MERO_KMS_POLICY_SIGNATURE", "required"},
		{"MERO_KMS_REQUIRE_SEALED_KEY_RELEASE", "true"},
	} {
		if got := s.Environment[want[0]]; got != want[1] {
			return fault.Mismatch(want[0], want[1], got)
		}
	}
	if published == nil {
		return nil
	}
	want, err := published.Profiles[profile].Image.Reference(release.KMS)
	if err == nil && s.Image != want {
		err = fault.Mismatch("the compose file runs another image than the published one", want, s.Image)
	}
	return err
}

func (a *auditor) policyURL(profile release.Profile) string {
	return "https://github.com/" + a.Repository + "/releases/download/" + a.Tag.String() + "/" +
		release.PolicyAsset(profile)
}

// composeSource makes the measured file again, whole, from docker-compose.yaml
// as the release's commit has it: what else stands in it is anybody's guess, and
// it runs beside the key.
func (a *auditor) composeSource(ctx context.Context, profile release.Profile,
	published *measurement.Published) check.Result {
	name := "compose file of " + string(profile) + " is made of the commit's"
	return a.ofCommit(ctx, name, published.Commit, func(read reader) error {
		source, err := read(compose.Path)
		if err != nil {
			return err
		}
		return a.madeOf(ctx, source, profile, published)
	})
}

// madeOf is nil when docker-compose.yaml and what the release publishes make the very file that was released.
func (a *auditor) madeOf(ctx context.Context, source []byte, profile release.Profile,
	published *measurement.Published) error {
	reference, err := published.Profiles[profile].Image.Reference(release.KMS)
	if err != nil {
		return err
	}
	want, err := compose.Release(ctx, source, compose.Values{Image: reference, Version: a.Tag.Version, Profile: profile,
		PolicyURL: a.policyURL(profile), Policy: a.digests[release.PolicyAsset(profile)], TDXRoot: a.TDXRoot})
	if err != nil {
		return &fault.Error{Code: fault.Verification, Message: "the commit's " + compose.Path + " makes no such file",
			Err: err}
	}
	got, err := a.read(release.ComposeAsset(profile))
	if err != nil {
		return err
	}
	return difference(want, got)
}

// difference names the first place at which two files differ.
func difference(want, got []byte) error {
	n := 0
	for n < min(len(want), len(got)) && want[n] == got[n] {
		n++
	}
	if n == len(want) && n == len(got) {
		return nil
	}
	around := func(b []byte) string { return fmt.Sprintf("%.80q", b[min(max(n-20, 0), len(b)):]) }
	return fault.Mismatch(fmt.Sprintf("it differs from what the commit makes, from byte %d on", n), around(want),
		around(got))
}
