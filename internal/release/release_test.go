package release_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestParseTag(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"mero-kms-v1.2.0", "mero-tee-v0.0.1", "mero-kms-v10.20.30-rc.4"} {
		tag, err := release.ParseTag(s)
		require.NoError(t, err, s)
		require.Equal(t, s, tag.String())
	}
	for name, s := range map[string]string{
		"empty": "", "no v": "mero-kms-1.2.0", "other family": "mero-foo-v1.2.0", "two numbers": "mero-kms-v1.2",
		"leading zero": "mero-kms-v01.2.0", "rc without number": "mero-kms-v1.2.0-rc", "rc zero": "mero-kms-v1.2.0-rc.0",
		"other suffix": "mero-kms-v1.2.0-beta.1", "space": "mero-kms-v1.2.0 ", "newline": "mero-kms-v1.2.0\n",
		"upper case": "MERO-KMS-v1.2.0",
		"huge":       "mero-kms-v99999999999999999999.0.0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := release.ParseTag(s)
			require.Error(t, err)
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
}

func TestVersionOrder(t *testing.T) {
	t.Parallel()
	order := []string{"0.9.9", "1.0.0-rc.1", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "1.0.1", "1.1.0", "1.10.0", "2.0.0"}
	for i := range order {
		for j := range order {
			a, err := release.ParseVersion(order[i])
			require.NoError(t, err)
			b, err := release.ParseVersion(order[j])
			require.NoError(t, err)
			switch {
			case i < j:
				require.Negative(t, a.Compare(b), "%s < %s", a, b)
			case i > j:
				require.Positive(t, a.Compare(b), "%s > %s", a, b)
			default:
				require.Zero(t, a.Compare(b))
			}
		}
	}
	_, err := release.ParseVersion("v1.2.0")
	require.ErrorContains(t, err, "not a version")
}

func TestVersionDerived(t *testing.T) {
	t.Parallel()
	rc := release.Version{Major: 1, Minor: 2, Patch: 3, Candidate: 4}
	require.Equal(t, "1.2.3", rc.Final().String())
	require.False(t, release.Tag{Family: release.KMS, Version: rc}.Stable())
}

func TestExpectedAssetsOfKMS(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"attestation-policy-debug.json", "attestation-policy-debug-read-only.json",
		"attestation-policy-locked-read-only.json",
		"app-compose-debug.json", "app-compose-debug-read-only.json", "app-compose-locked-read-only.json",
		"compose-hash.txt", "provenance.intoto.jsonl", "published-mrtds.json", "sbom.spdx.json",
	}, release.KMS.Assets())
	require.Len(t, release.KMS.ExpectedAssets(), 22)
	require.Contains(t, release.Node.ExpectedAssets(), "checksums.sha256.sigstore.json")
}

func FuzzParseTag(f *testing.F) {
	f.Add("mero-kms-v1.2.0")
	f.Add("mero-tee-v1.2.0-rc.1")
	f.Fuzz(func(t *testing.T, s string) {
		if tag, err := release.ParseTag(s); err == nil {
			require.Equal(t, s, tag.String())
		}
	})
}

func TestPatches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		v, o string
		want bool
	}{
		{"1.2.1", "1.2.0", true}, {"1.2.9", "1.2.3", true},
		{"1.2.0", "1.2.0", false}, {"1.2.0", "1.2.1", false}, {"1.3.1", "1.2.0", false}, {"2.2.1", "1.2.0", false},
		{"1.2.1-rc.1", "1.2.0", false}, {"1.2.1", "1.2.0-rc.1", false},
	} {
		v, err := release.ParseVersion(tc.v)
		require.NoError(t, err)
		o, err := release.ParseVersion(tc.o)
		require.NoError(t, err)
		require.Equal(t, tc.want, v.Patches(o), "%s patches %s", v, o)
		require.Positive(t, o.NextMinor().Compare(o))
	}
	require.Equal(t, "1.3.0", release.Version{Major: 1, Minor: 2, Patch: 3, Candidate: 4}.NextMinor().String())
}

func TestHighest(t *testing.T) {
	t.Parallel()
	names := []string{"mero-kms-v1.9.0", "mero-kms-v1.10.0", "mero-kms-v2.0.0-rc.1", "mero-tee-v3.0.0",
		"mero-kms-v01.0.0", "v9.0.0"}
	final := func(v release.Version) bool { return !v.IsCandidate() }
	require.Equal(t, "mero-kms-v1.10.0", release.Highest(release.KMS, slices.Values(names), final).String())
	require.Equal(t, "mero-kms-v2.0.0-rc.1",
		release.Highest(release.KMS, slices.Values(names), func(release.Version) bool { return true }).String())
	require.True(t, release.Highest(release.KMS, slices.Values(names),
		func(release.Version) bool { return false }).IsZero())
}
