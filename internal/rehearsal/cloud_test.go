package rehearsal_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/node"
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
// is to be permitted, and nothing yet.
func TestTheCloud(t *testing.T) {
	t.Parallel()
	w, c := inCloud(t)
	require.Equal(t, []string{"mero-rehearsal", "us-central1-a", "mero-tee"},
		[]string{w.Env.Config.GCPProject, w.Env.Config.GCPZone, w.Env.Config.GCPFamily})
	missing, err := c.Permissions(t.Context(), gce.ReleasePermissions())
	require.NoError(t, err)
	require.Empty(t, missing)
	left, err := c.Leftovers(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}

// A simulated image boots in this process, whatever else there is; any other is
// looked for in the cloud, which does not have it.
func TestNodesAreChosenByTheirImage(t *testing.T) {
	t.Parallel()
	w, c := inCloud(t)
	tag := release.Tag{Family: release.Node, Version: release.Version{Minor: 1}}
	published := func(name string) *measurement.Published {
		return &measurement.Published{Tag: tag, Profiles: map[release.Profile]measurement.Profile{release.Debug: {Image: measurement.Image{Name: name}}}}
	}
	var entries []string
	nodes := w.Env.Nodes("measure", "a-run", func(e journal.Entry) error { entries = append(entries, e.String()); return nil })
	simulated := node.Image{Version: tag.Version, Profile: release.Debug}.Name()
	report, err := nodes.Boot(t.Context(), published(simulated), release.Debug, agent.Mission{Nonce: agent.NewNonce()})
	require.NoError(t, err)
	require.Equal(t, release.Debug, report.Profile)
	_, err = nodes.Boot(t.Context(), published("mero-tee-debug-0-1-0-00000000"), release.Debug, agent.Mission{Nonce: agent.NewNonce()})
	require.ErrorIs(t, err, gce.ErrNotFound)
	require.Empty(t, entries, "no VM was begun")
	left, err := c.Leftovers(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}
