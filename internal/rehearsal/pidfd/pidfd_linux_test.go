package pidfd_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/calimero-network/mero-tee/internal/rehearsal/pidfd"
)

func TestWait(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "cat") // until its standard input ends
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() })
	p, err := pidfd.Open(cmd.Process.Pid)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	require.ErrorIs(t, p.Wait(time.Millisecond), os.ErrDeadlineExceeded)
	require.NoError(t, stdin.Close())
	require.NoError(t, p.Wait(30*time.Second))
	require.NoError(t, p.Wait(0), "it has ended for good")
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "true")
	require.NoError(t, cmd.Run())
	_, err := pidfd.Open(cmd.Process.Pid)
	require.ErrorIs(t, err, unix.ESRCH)
}
