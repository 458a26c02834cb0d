package rehearsal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
)

func parse(t *testing.T, s string) release.Tag {
	t.Helper()
	tag, err := release.ParseTag(s)
	require.NoError(t, err)
	return tag
}

func TestVersions(t *testing.T) {
	t.Parallel()
	node, kms := release.Tag{Family: release.Node}, release.Tag{Family: release.KMS}
	for name, tc := range map[string]struct {
		public, ours []string // releases on the local GitHub; those with a ledger of their own
		tag          release.Tag
		kms, node    string
	}{
		"nothing yet":                    {nil, nil, kms, "0.1.0", "0.1.0"},
		"a candidate of the key service": {nil, nil, parse(t, "mero-kms-v2.0.0-rc.3"), "2.0.0-rc.3", "2.0.0"},
		"a node release first":           {nil, nil, node, "0.0.9", "0.1.0"},
		"a node release of some version": {nil, nil, parse(t, "mero-tee-v1.0.0"), "0.9.0", "1.0.0"},
		"after a key service": {[]string{"mero-kms-v0.1.0", "mero-tee-v0.1.0", "mero-tee-v0.0.9"},
			[]string{"mero-kms-v0.1.0"}, node, "0.1.0", "0.2.0"},
		"again": {[]string{"mero-kms-v0.0.9", "mero-tee-v0.1.0"}, []string{"mero-tee-v0.1.0"},
			node, "0.0.9", "0.1.0"},
		"the newest key service": {[]string{"mero-kms-v0.9.0", "mero-kms-v0.10.0", "mero-kms-v2.0.0-rc.1"}, nil,
			parse(t, "mero-tee-v3.0.0"), "0.10.0", "3.0.0"},
		"a hotfix of a key service": {[]string{"mero-kms-v0.1.0", "mero-tee-v0.1.0"}, []string{"mero-kms-v0.1.0"},
			parse(t, "mero-kms-v0.1.2"), "0.1.2", "0.1.0"},
		"a patch of nothing": {nil, nil, parse(t, "mero-kms-v0.1.2"), "0.1.2", "0.1.2"},
		"a key service after a node release": {[]string{"mero-kms-v0.0.9", "mero-tee-v0.1.0"}, []string{"mero-tee-v0.1.0"},
			kms, "0.1.0", "0.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := t.TempDir()
			for _, tag := range tc.public {
				require.NoError(t, os.MkdirAll(filepath.Join(dist, "rehearsal", "github", "releases", tag), 0o755))
			}
			for _, tag := range tc.ours {
				require.NoError(t, os.MkdirAll(filepath.Join(dist, tag), 0o755))
			}
			kms, node := rehearsal.Versions(dist, tc.tag)
			require.Equal(t, [2]string{tc.kms, tc.node}, [2]string{kms.String(), node.String()})
		})
	}
}
