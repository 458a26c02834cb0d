package dstack_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
)

var update = flag.Bool("update", false, "write platforms.json anew")

// platforms.json is what a rehearsal's release predicts from, as production does
// from dstack-platforms.json; the CVMs compute their registers by extension.
func TestPlatformFileAgrees(t *testing.T) {
	t.Parallel()
	if *update {
		p := dstack.Platforms()
		data, err := p.Encode()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("platforms.json", data, 0o644))
	}
	data, err := os.ReadFile("platforms.json")
	require.NoError(t, err)
	p, err := measurement.DecodePlatforms(data)
	require.NoError(t, err)
	require.Equal(t, dstack.Platforms(), *p)
}
