package bootchain_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func platformEvents(t *testing.T, m bootchain.Machine) []tdx.Event {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("bootchain"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	_, log, err := m.Boot(platform, nil)
	require.NoError(t, err)
	events, err := tdx.ParseCCEL(log.CCEL())
	require.NoError(t, err)
	return events
}

// What a real Google machine logged in RTMR0, of which go-tdx-guest has the log:
// type for type, name for name, and measured where that was measured.
func TestPlatformEventsAreLikeGoogles(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/google/go-tdx-guest").Output()
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "testing/testdata/ccel/ccel_data.dat"))
	require.NoError(t, err)
	real, err := tdx.ParseCCEL(raw)
	require.NoError(t, err)
	ours := platformEvents(t, bootchain.C3())
	require.Len(t, ours, 14)
	for i, e := range ours {
		want := real[i]
		require.Equal(t, []any{want.RTMR, want.Type, want.Describe().Name(), want.Describe().Measured},
			[]any{e.RTMR, e.Type, e.Describe().Name(), e.Describe().Measured}, "event %d", i)
	}
	require.Equal(t, real[0].Payload, ours[0].Payload)
	require.Equal(t, real[1].Payload, ours[1].Payload)
}

func TestWhatAHostDecides(t *testing.T) {
	t.Parallel()
	usual := platformEvents(t, bootchain.C3())
	for name, change := range map[string]func(*bootchain.Machine){
		"handoff table TdxTable": func(m *bootchain.Machine) { m.Shape = "c3-standard-8" },
		"firmware volume Fv(48DB5E17-707C-472D-91CD-1613E7EF51B0), 131072 bytes at 0xffe00000": func(m *bootchain.Machine) {
			m.Variables = "SystemdOptions"
		},
		"platform configuration ACPI DATA": func(m *bootchain.Machine) { m.Tables = "c3, newer" },
		"boot order":                       func(m *bootchain.Machine) { m.Order = []byte{0, 0, 1, 0} },
		"variable SecureBoot":              func(m *bootchain.Machine) { m.Secure = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootchain.C3()
			change(&m)
			moves := tdx.Moves(usual, platformEvents(t, m), 0)
			require.NotEmpty(t, moves)
			for _, move := range moves {
				require.Equal(t, name, move.Name())
			}
		})
	}
}
