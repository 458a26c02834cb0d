package rehearsal_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/mission"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
)

// A node that is lent a TD proves the boot of its disk to who lent it, and to nobody else.
func TestLendTD(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, disktest.Make(disktest.Spec{Profile: "debug"}).WriteFile(name))
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	disk, err := measuredboot.OpenFile(f)
	require.NoError(t, err)
	lent, err := rehearsal.LendTD(disk.Boot())
	require.NoError(t, err)
	other, err := rehearsal.LendTD(disk.Boot())
	require.NoError(t, err)

	node := mission.Node{Profile: release.Debug, TSM: lent.TSM, Root: [32]byte{1},
		EventLog: func() ([]byte, error) { return lent.EventLog, nil }}
	order := agent.Mission{Nonce: agent.NewNonce()}
	report, _ := node.Accomplish(context.Background(), order)
	verdict, err := report.Verify(t.Context(), lent.Verifier, release.Debug, order.Nonce)
	require.NoError(t, err)
	require.Equal(t, tdx.Replay(disk.Boot().Log(), 1), verdict.Registers.RTMR1)
	require.Equal(t, tdx.Replay(disk.Boot().Log(), 2), verdict.Registers.RTMR2)
	_, err = report.Verify(t.Context(), other.Verifier, release.Debug, order.Nonce)
	require.Error(t, err)
}
