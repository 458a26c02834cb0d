package rehearsal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The environment holds all that an appraisal needs, and the root stays the same from one command to the next.
func TestTheWorldAppraisesItsNodes(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	w, err := open(t, dist)
	require.NoError(t, err)
	defer w.Close()
	v, err := tdx.NewVerifier(tdx.Config{Root: w.Env.TDXRoot, Collateral: tdx.NewCollateral(w.Env.Client())})
	require.NoError(t, err)
	image := inprocess.Image{Version: release.Version{Minor: 1}, Profile: release.Debug}
	published := &measurement.Published{Tag: release.Tag{Family: release.Node, Version: image.Version},
		Profiles: map[release.Profile]measurement.Profile{image.Profile: {Image: measurement.Image{Name: image.Name()}}}}
	require.NoError(t, w.Simulated(image.Version, t.TempDir()).Import(image))
	mission := agent.Mission{Nonce: agent.NewNonce()}
	report, err := w.Env.Nodes("ita", "ita", nil).Boot(t.Context(), published, release.Debug, mission)
	require.NoError(t, err)
	quote := report.Quote
	ours, err := report.Verify(t.Context(), v, release.Debug, mission.Nonce)
	require.NoError(t, err)
	asking := w.Env.ITA
	asking.Verifier = v
	client, err := ita.New(asking)
	require.NoError(t, err)
	_, err = client.Appraise(t.Context(), quote, ours)
	require.NoError(t, err)

	intel, err := tdx.ParseRoot(ita.IntelRootSHA256)
	require.NoError(t, err)
	production := asking
	production.Root = intel
	client, err = ita.New(production)
	require.NoError(t, err)
	_, err = client.Appraise(t.Context(), quote, ours)
	require.ErrorContains(t, err, "not the pinned one", "production believes no rehearsal")

	require.NoError(t, w.Close())
	again, err := open(t, dist)
	require.NoError(t, err)
	defer again.Close()
	require.Equal(t, w.Env.ITA.Root, again.Env.ITA.Root)
}
