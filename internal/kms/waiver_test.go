package kms_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// A node whose machine is waived gets its key, which the log says; after the
// waiver's last day the running service refuses it, by the waiver's name.
func TestAWaivedMachineUntilItsEnd(t *testing.T) {
	t.Parallel()
	lastDay := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	w := newWorld(t, func(p *policies.Policy) {
		p.TCBWaivers = []tcb.Waiver{{Status: "OutOfDate", Reason: "the fleet is updated", Until: lastDay}}
	})
	w.pcs.Change(outOfDate)
	node := w.node(t, "1.0.0", release.Debug)
	_, err := node.GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)
	require.Contains(t, w.logs.String(), "OutOfDate until "+lastDay)

	w.ahead.Store(int64(48 * time.Hour))
	_, err = node.GetKey(t.Context(), w.url, transportOf(w))
	requireRefused(t, err, http.StatusForbidden, wire.PolicyViolation)
	require.ErrorContains(t, err, "its waiver has ended: OutOfDate until "+lastDay)
}
