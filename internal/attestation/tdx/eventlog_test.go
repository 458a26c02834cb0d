package tdx_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// bootNames are what dstack measures before an application runs, two services asked for its keys.
func bootNames() []string {
	return []string{"system-preparing", "app-id", "compose-hash", "instance-id", "boot-mr-done", "mr-kms", "mr-kms",
		"os-image-hash", "key-provider", "storage-fs"}
}

// payloadOf has the 32 bytes of a digest, another one for each place in the log.
func payloadOf(name string, place int) []byte {
	sum := sha256.Sum256(fmt.Append(nil, name, place))
	return sum[:]
}

// bootLog is a dstack boot: what the platform measures, then an application's events.
func bootLog(t testing.TB, w *world, options ...tdxsim.LogOption) (*tdxsim.TD, *tdxsim.EventLog) {
	t.Helper()
	td := w.platform.NewTD(tdx.Register{1})
	log := tdxsim.NewEventLog(td, options...)
	for rtmr := range 3 {
		require.NoError(t, log.Measure(rtmr, 4, []byte{0, 0, 0, byte(rtmr)}))
	}
	for i, name := range append(bootNames(), "system-ready", "application", "application") {
		require.NoError(t, log.Emit(name, payloadOf(name, i)))
	}
	return td, log
}

func TestReplaySkipsWhatWasNeverExtended(t *testing.T) {
	t.Parallel()
	require.True(t, tdx.Replay([]tdx.Event{{RTMR: 0, Type: tdx.NoActionEvent, Digest: tdx.Register{1}},
		{RTMR: 1, Type: 4}}, 0).IsZero())
}

// requireReplays says that events explain the first n RTMRs.
func requireReplays(t *testing.T, events []tdx.Event, registers tdx.Registers, n int) {
	t.Helper()
	values := registers.Values()
	for rtmr, want := range values[1 : 1+n] {
		require.Equal(t, want, tdx.Replay(events, rtmr), "RTMR%d", rtmr)
	}
}
