package release_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/release"
)

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
	require.Equal(t, []release.Class{"stable", "candidate", "hotfix"}, release.Classes())
}
