package dstack_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
)

var update = flag.Bool("update", false, "write platform.json anew")

// platform.json is what a rehearsal's release predicts from, as production does
// from dstack-platform.json; the CVMs compute their registers by extension.
func TestPlatformFileAgrees(t *testing.T) {
	t.Parallel()
	if *update {
		data, err := canonical.Marshal(dstack.Platform())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("platform.json", data, 0o644))
	}
	data, err := os.ReadFile("platform.json")
	require.NoError(t, err)
	p, err := measurement.DecodePlatform(data)
	require.NoError(t, err)
	require.Equal(t, dstack.Platform(), p)
}
