package machine_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/node/boot/lan"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
)

// real is what a real machine needs, and for how long one may run; without the programs there is none.
func real(t *testing.T) (machine.Programs, context.Context) {
	t.Helper()
	programs, missing := machine.Find()
	if testing.Short() || len(missing) > 0 {
		t.Skipf("a real machine; not installed: %v", missing)
	}
	return programs, hang.Context(t)
}

// until looks at a machine that runs, until something is so.
func until(ctx context.Context, t *testing.T, m *machine.Machine, so func() bool) {
	t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for !so() {
		require.NoError(t, m.Ended())
		select {
		case <-again.C:
		case <-ctx.Done():
			require.NoError(t, ctx.Err())
		}
	}
}

// A machine starts, its firmware measures and looks for something to boot on the
// disk, and it ends when it is told to. Nothing on the disk boots.
func TestARealMachine(t *testing.T) {
	t.Parallel()
	programs, ctx := real(t)
	disk := machine.NewDisk(bytes.NewReader(make([]byte, 1<<20)), 1<<20)
	wire := lan.New()
	m, err := machine.Start(ctx, machine.Config{Programs: programs, Folder: t.TempDir(),
		Disk: disk, Wire: wire, MAC: lan.MAC,
		Variables: []machine.Variable{machine.SystemdOptions("quiet")},
		SMBIOS:    []string{"io.systemd.credential:a=b,c"},
		Files:     []machine.File{{Name: "opt/io.systemd.credentials/a", Content: "b\n"}}})
	require.NoError(t, err)
	defer m.Close()
	var boots [][]machine.Measurement
	until(ctx, t, m, func() bool {
		boots, err = m.Measured()
		require.NoError(t, err)
		return len(boots) > 0 && len(boots[0]) >= 5 && len(disk.Read(0, 1<<20)) > 0
	})
	require.NotZero(t, replay(boots[0], 0), "the firmware itself")
	running, err := m.Running()
	require.NoError(t, err)
	require.True(t, running)
	require.NoError(t, m.Press("ctrl", "alt", "delete"))
	screen, err := m.Screen()
	require.NoError(t, err)
	require.False(t, screen.IsZero())
	busy, err := m.Busy()
	require.NoError(t, err)
	require.Positive(t, busy)
	store, err := m.Store()
	require.NoError(t, err)
	require.True(t, machine.Has(store, "SystemdOptions"), "a store that firmware does not understand it makes anew")
	require.True(t, machine.Has(store, "BootOrder"), "the firmware's own")
	require.False(t, machine.Has(store, "LoaderEntries"))
	require.NoError(t, m.Reset())
	require.Empty(t, disk.Written())
	m.Close()
	require.Error(t, m.Ended())
}

// What a machine has read before it is saved is in its memory; what the one that
// goes on from there reads is known to have been read by that one.
func TestAMachineGoesOnFromWhereItWasSaved(t *testing.T) {
	t.Parallel()
	programs, ctx := real(t)
	const size = 1 << 20
	c := machine.Config{Programs: programs, Folder: t.TempDir(), Movable: true,
		Disk: machine.NewDisk(bytes.NewReader(make([]byte, size)), size), Wire: lan.New(), MAC: lan.MAC}
	m, err := machine.Start(ctx, c)
	require.NoError(t, err)
	defer m.Close()
	frozen := make(chan error, 1)
	c.Disk.BeforeFirstRead(0, size, func() { frozen <- m.Freeze() })
	select {
	case err := <-frozen:
		require.NoError(t, err)
	case <-ctx.Done():
		require.NoError(t, ctx.Err())
	}
	saved := filepath.Join(t.TempDir(), "saved")
	require.NoError(t, m.Save(ctx, saved))
	running, err := m.Running()
	require.NoError(t, err)
	require.False(t, running)
	require.Len(t, c.Disk.Read(0, size), 1, "nothing is read after the processor stopped")
	m.Close()

	disk := machine.NewDisk(bytes.NewReader(make([]byte, size)), size)
	disk.FlipFirstRead(0, size, 0)
	c.Folder, c.Disk, c.Wire, c.Saved = t.TempDir(), disk, lan.New(), saved
	other, err := machine.Start(ctx, c)
	require.NoError(t, err)
	defer other.Close()
	until(ctx, t, other, func() bool { return len(disk.Flipped()) > 0 })
	require.Zero(t, other.Restarts(), "it does not begin anew")
	other.Close()

	require.NoError(t, os.Truncate(saved, 1<<16))
	c.Folder = t.TempDir()
	_, err = machine.Start(ctx, c)
	require.ErrorContains(t, err, "QEMU ended")
}

func TestAMachineThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	programs, missing := machine.Find()
	if testing.Short() || len(missing) > 0 {
		t.Skipf("a real machine; not installed: %v", missing)
	}
	_, err := machine.Start(t.Context(), machine.Config{Programs: programs, Folder: t.TempDir(),
		Files: []machine.File{{Name: "a-name-that-is-longer-than-the-fifty-five-characters-of-QEMU"}}})
	require.ErrorContains(t, err, "name too long")
}
