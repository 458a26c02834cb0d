package policies_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Both kinds of policy have a TCB list under the rules of package tcb.
func TestTCBListsAreJudged(t *testing.T) {
	t.Parallel()
	w, p := working(t, release.Debug), ready(t, release.Debug)
	w.AllowedTCBStatus, p.AllowedTCBStatus = []string{"UpToDate", "OutOfDate"}, []string{"UpToDate", "OutOfDate"}
	for _, err := range []error{w.Check(), p.Check()} {
		require.ErrorContains(t, err, "allowed_tcb_status holds OutOfDate without a waiver")
	}
}

func TestAWaiverTravelsWithTheReleasedPolicy(t *testing.T) {
	t.Parallel()
	ev := evidence(t, "1.2.0", 2)
	w := working(t, release.Debug, ev)
	w.TCBWaivers = []tcb.Waiver{{Status: "OutOfDate", Reason: "r", Until: "2026-12-31"}}
	p, err := policies.Generate(w, version(t, "1.2.0"), ev)
	require.NoError(t, err)
	b, err := p.Encode()
	require.NoError(t, err)
	require.Contains(t, string(b), `"tcb_waivers"`)
	again, err := policies.Decode(b)
	require.NoError(t, err)
	require.Equal(t, w.TCBWaivers, again.TCBWaivers)
}
