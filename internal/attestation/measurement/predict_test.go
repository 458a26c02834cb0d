package measurement_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestPredictKMS(t *testing.T) {
	t.Parallel()
	p := kms(t).Profiles[release.LockedReadOnly]
	hash := sum("app-compose locked-read-only")
	require.Equal(t, "ghcr.io/calimero-network/mero-kms:1.2.0-locked-read-only", p.Image.Name)
	require.Equal(t, hash, p.Image.ComposeHash)
	require.Nil(t, p.RTMR3)
	names := make([]string, 0, len(p.Events))
	for _, e := range p.Events {
		names = append(names, e.Name)
	}
	require.Equal(t, []string{"app-id", "compose-hash", "instance-id", "os-image-hash", "key-provider",
		"system-ready"}, names)
	require.Nil(t, p.Events[0].Payload, "the provider gives the app id")
	require.Equal(t, measurement.Hex(hash[:]), p.Events[1].Payload)
	require.Equal(t, measurement.OwnerInstance, p.Events[2].Owner)
	require.Equal(t, platformFile(t).Image, p.Image.OSImage)
	require.Equal(t, measurement.Hex(p.Image.OSImageHash[:]), p.Events[3].Payload)
}

func TestPredictKMSNeedsEveryInput(t *testing.T) {
	t.Parallel()
	images, hashes := map[release.Profile]measurement.Image{}, map[release.Profile]digest.Digest{}
	for _, p := range release.Profiles() {
		images[p] = measurement.Image{Name: "image of " + string(p), Digest: sum("image " + string(p))}
		hashes[p] = sum("compose " + string(p))
	}
	kmsTag := tag(t, "mero-kms-v1.2.0")
	fewerImages, fewerHashes := maps.Clone(images), maps.Clone(hashes)
	delete(fewerImages, release.Debug)
	delete(fewerHashes, release.Debug)
	for name, predict := range map[string]func() error{
		"image": func() error {
			_, err := measurement.PredictKMS(kmsTag, commit, platformFile(t), host, fewerImages, hashes)
			return err
		},
		"compose hash": func() error {
			_, err := measurement.PredictKMS(kmsTag, commit, platformFile(t), host, images, fewerHashes)
			return err
		},
		"commit": func() error {
			_, err := measurement.PredictKMS(kmsTag, "", platformFile(t), host, images, hashes)
			return err
		},
		"family": func() error {
			_, err := measurement.PredictKMS(tag(t, "mero-tee-v1.2.0"), commit, platformFile(t), host, images, hashes)
			return err
		},
	} {
		require.Equal(t, fault.Verification, fault.CodeOf(predict()), name)
	}
}

func TestCompareWithAMachine(t *testing.T) {
	t.Parallel()
	p := kms(t).Profiles[release.Debug]
	observed := p.Registers()
	observed.RTMR3 = register(7)
	require.Empty(t, p.Compare(observed), "the instance's RTMR3 is not compared")
	observed.MRTD, observed.RTMR2 = register(1), register(2)
	diffs := p.Compare(observed)
	require.Len(t, diffs, 2)
	require.Equal(t, []string{"mrtd", "rtmr2"}, []string{diffs[0].Name, diffs[1].Name})

	n := node(t).Profiles[release.Debug]
	observed = n.Registers()
	observed.RTMR3 = register(7)
	require.Len(t, n.Compare(observed), 1, "a node's is")
}

func TestEqual(t *testing.T) {
	t.Parallel()
	p := node(t).Profiles[release.Debug]
	require.True(t, p.Equal(node(t).Profiles[release.Debug]))
	for name, change := range map[string]func(*measurement.Profile){
		"register": func(p *measurement.Profile) { p.RTMR1 = register(9) },
		"rtmr3":    func(p *measurement.Profile) { p.RTMR3 = nil },
		"image":    func(p *measurement.Profile) { p.Image.Name = "another" },
		"evidence": func(p *measurement.Profile) { p.Evidence.Boots++ },
		"owners":   func(p *measurement.Profile) { p.Owners.RTMR2 = measurement.OwnerPlatform },
	} {
		other := node(t).Profiles[release.Debug]
		change(&other)
		require.False(t, p.Equal(other), name)
	}
}

func TestReferenceAndRehashed(t *testing.T) {
	t.Parallel()
	image := measurement.Image{Name: "ghcr.io:5000/owner/mero-kms:1.2.0-debug", Digest: sum("index")}
	got, err := image.Reference(release.KMS)
	require.NoError(t, err)
	require.Equal(t, "ghcr.io:5000/owner/mero-kms@"+sum("index").String(), got)
	got, err = image.Reference(release.Node)
	require.NoError(t, err)
	require.Equal(t, image.Name, got)
	for _, name := range []string{"mero-kms", "ghcr.io:5000/mero-kms"} {
		_, err = measurement.Image{Name: name}.Reference(release.KMS)
		require.Error(t, err, name)
	}
	p := kms(t).Profiles[release.Debug]
	other := p.Rehashed(sum("another compose file"))
	require.Equal(t, measurement.PredictEvents(sum("another compose file"), p.Image.OSImageHash), other.Events)
	require.Equal(t, p.Registers(), other.Registers())
	require.NotEqual(t, p.Image.ComposeHash, other.Image.ComposeHash)
}
