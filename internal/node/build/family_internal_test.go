package build

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/release"
)

// "GCP image family prefix for node images": the profile follows the prefix, and
// without a prefix an image is in no family.
func TestFamilyOfAnImage(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"mero-tee": "mero-tee-debug", "other": "other-debug"} {
		require.Equal(t, want, (&Builder{o: Options{Family: prefix}}).family(release.Debug))
	}
	require.Empty(t, (&Builder{}).family(release.Debug))
}
