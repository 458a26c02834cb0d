package rehearsal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/release"
)

// What came before is a stable release of its own, never a patch that leaves out a number.
func TestBefore(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]string{"0.1.0": "0.0.9", "0.2.0": "0.1.0", "1.3.0": "1.2.0", "1.1.0": "1.0.0",
		"1.0.0": "0.9.0", "1.2.3": "1.2.2"} {
		parsed, err := release.ParseVersion(v)
		require.NoError(t, err)
		require.Equal(t, want, before(parsed).String(), v)
	}
}
