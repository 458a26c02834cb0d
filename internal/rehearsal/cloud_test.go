package rehearsal_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
)

// inCloud is a world whose cloud runs, on a machine that can run one.
func inCloud(t *testing.T) (*rehearsal.World, *gce.Client) {
	t.Helper()
	w, _ := begun(t, filepath.Join("..", ".."), t.TempDir(), first, first)
	c, err := w.Env.Cloud(t.Context(), nil)
	if err != nil {
		t.Skipf("%v", err) // no root and no namespaces
	}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return w, c
}

// The world's Compute Engine takes the world's own key, has all that a release
// is to be permitted, and nothing to sweep yet: simulated images are none of it.
func TestTheCloud(t *testing.T) {
	t.Parallel()
	w, c := inCloud(t)
	require.Equal(t, []string{"mero-rehearsal", "us-central1-a", "mero-tee"},
		[]string{w.Env.Config.GCPProject, w.Env.Config.GCPZone, w.Env.Config.GCPFamily})
	missing, err := c.Permissions(t.Context(), gce.ReleasePermissions())
	require.NoError(t, err)
	require.Empty(t, missing)
	require.NoError(t, w.Simulated(first, "").Import(inprocess.Image{Version: first, Profile: release.Debug}))
	left, err := c.Leftovers(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}

// A simulated image boots as a VM of the cloud, which has nothing else.
func TestNodesAreChosenByTheirImage(t *testing.T) {
	t.Parallel()
	w, _ := begun(t, filepath.Join("..", ".."), t.TempDir(), first, first)
	image := inprocess.Image{Version: release.Version{Minor: 1}, Profile: release.Debug}
	published := func(name string) *measurement.Published {
		return &measurement.Published{Tag: release.Tag{Family: release.Node, Version: image.Version},
			Profiles: map[release.Profile]measurement.Profile{release.Debug: {Image: measurement.Image{Name: name}}}}
	}
	var entries []string
	nodes := w.Env.Nodes("measure", "a-run", func(e journal.Entry) error {
		entries = append(entries, e.String())
		return nil
	})
	_, err := nodes.Boot(t.Context(), published(image.Name()), release.Debug, agent.Mission{Nonce: agent.NewNonce()})
	require.ErrorIs(t, err, gce.ErrNotFound)
	require.Empty(t, entries, "no VM was begun")
	require.NoError(t, w.Simulated(image.Version, t.TempDir()).Import(image))
	report, err := nodes.Boot(t.Context(), published(image.Name()), release.Debug, agent.Mission{Nonce: agent.NewNonce()})
	require.NoError(t, err)
	require.Equal(t, release.Debug, report.Profile)
	require.Len(t, entries, 2)
	require.True(t, strings.HasPrefix(entries[0], "begin vm mero-measure-debug-"), entries[0])
	require.Equal(t, "end"+strings.TrimPrefix(entries[0], "begin"), entries[1])
}
