package measurement_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// The prefixes stand here a second time, so that a change of the file is noticed.
func TestShippedPlatforms(t *testing.T) {
	t.Parallel()
	for image, want := range map[string][3]string{
		"dstack-0.5.9": {"07e6f51aa763abfe", "df67e467e60edc17", "bd369a8c2f9edb2b"},
		"dstack-0.5.8": {"b598fde949142734", "9284cde236231d5d", "6427f4f5ded88b72"},
		"dstack-0.5.7": {"920eb831509b58bf", "4674857a0f5b090f", "761c05d282c81abe"},
	} {
		p, err := platformsFile(t).Named(image)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(p.MRTD.String(), "f06dfda6dce1cf90"))
		require.True(t, strings.HasPrefix(p.RTMR0.String(), "68102e7b524af310"))
		require.Equal(t, want, [3]string{p.RTMR1.String()[:16], p.RTMR2.String()[:16], p.OSImageHash.Hex()[:16]})
		require.Equal(t, "tdx.small", p.VMShape)
	}
}

func TestPlatformsRefused(t *testing.T) {
	t.Parallel()
	first := func(change func(*measurement.Platform)) func(*measurement.Platforms) {
		return func(p *measurement.Platforms) { change(&p.Images[0]) }
	}
	for want, change := range map[string]func(*measurement.Platforms){
		`schema_version "2"`:           func(p *measurement.Platforms) { p.SchemaVersion = "2" },
		`platform "gcp"`:               func(p *measurement.Platforms) { p.Platform = "gcp" },
		"no measurements of the OS":    func(p *measurement.Platforms) { p.Image = "dstack-0.4.0" },
		"is listed twice":              func(p *measurement.Platforms) { p.Images = append(p.Images, p.Images[0]) },
		"have the same measurements":   func(p *measurement.Platforms) { p.Images[1].OSImageHash = p.Images[0].OSImageHash },
		"not named like":               first(func(p *measurement.Platform) { p.Image = "0.5.9" }),
		"cluster, vm_shape and source": first(func(p *measurement.Platform) { p.Source = "" }),
		"vm_shape and source must":     first(func(p *measurement.Platform) { p.VMShape = "" }),
		"must all be named":            first(func(p *measurement.Platform) { p.Cluster = "" }),
		"os_image_hash is zero":        first(func(p *measurement.Platform) { p.OSImageHash = digest.Digest{} }),
		"mrtd is zero":                 first(func(p *measurement.Platform) { p.MRTD = tdx.Register{} }),
		"rtmr0 is zero":                first(func(p *measurement.Platform) { p.RTMR0 = tdx.Register{} }),
		"rtmr1 is zero":                first(func(p *measurement.Platform) { p.RTMR1 = tdx.Register{} }),
		"rtmr2 is zero":                first(func(p *measurement.Platform) { p.RTMR2 = tdx.Register{} }),
	} {
		p := platformsFile(t)
		change(p)
		data, err := canonical.Marshal(p)
		require.NoError(t, err)
		_, err = measurement.DecodePlatforms(data)
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Usage, fault.CodeOf(err))
		_, err = p.Encode()
		require.ErrorContains(t, err, want, "and what is not accepted is not written")
	}
	_, err := measurement.DecodePlatforms([]byte("{}"))
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func TestUnknownImageListsTheKnown(t *testing.T) {
	t.Parallel()
	_, err := platformsFile(t).Named("dstack-0.5.12")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "one of dstack-0.5.9, dstack-0.5.8, dstack-0.5.7", f.Expected)
	require.Contains(t, f.Hint, "kms:observe dstack-0.5.12")
}

func TestPlatformsWith(t *testing.T) {
	t.Parallel()
	p := platformsFile(t)
	before := slices.Clone(p.Images)
	observed := p.Images[0]
	observed.Image, observed.OSImageHash, observed.RTMR1 = "dstack-0.5.11", digest.Digest{1}, tdx.Register{1}
	more, err := p.With(observed)
	require.NoError(t, err)
	require.Equal(t, append([]measurement.Platform{observed}, before...), more.Images)
	require.Equal(t, p.Image, more.Image, "the one that deployments name stays")
	observed.RTMR2 = tdx.Register{2}
	again, err := more.With(observed)
	require.NoError(t, err)
	require.Equal(t, append([]measurement.Platform{observed}, before...), again.Images)
	require.Equal(t, before, p.Images)
	observed.OSImageHash = before[0].OSImageHash
	_, err = p.With(observed)
	require.ErrorContains(t, err, "the same measurements")
}

func FuzzDecodePlatforms(f *testing.F) {
	data, err := platformsFile(f).Encode()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"schema_version":"1","platform":"dstack","image":"","images":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := measurement.DecodePlatforms(data)
		if err != nil {
			return
		}
		again, err := p.Encode()
		require.NoError(t, err)
		require.Equal(t, data, again)
	})
}
