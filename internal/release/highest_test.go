package release_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/release"
)

func TestHighest(t *testing.T) {
	t.Parallel()
	names := []string{"mero-kms-v1.9.0", "mero-kms-v1.10.0", "mero-kms-v2.0.0-rc.1", "mero-tee-v3.0.0", "mero-kms-v01.0.0", "v9.0.0"}
	final := func(v release.Version) bool { return !v.IsCandidate() }
	require.Equal(t, "mero-kms-v1.10.0", release.Highest(release.KMS, slices.Values(names), final).String())
	require.Equal(t, "mero-kms-v2.0.0-rc.1", release.Highest(release.KMS, slices.Values(names), func(release.Version) bool { return true }).String())
	require.True(t, release.Highest(release.KMS, slices.Values(names), func(release.Version) bool { return false }).IsZero())
}
