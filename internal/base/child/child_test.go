package child_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/child"
)

// TestMain is also the process between: it runs a program that says its id and lasts.
func TestMain(m *testing.M) {
	if signal, err := strconv.Atoi(os.Getenv("BETWEEN")); err == nil {
		cmd := exec.Command("sh", "-c", "echo $$; exec sleep 600") // it ends with us: that is the test
		cmd.Stdout = os.Stdout
		_ = child.Run(cmd, syscall.Signal(signal))
		return
	}
	os.Exit(m.Run())
}

func TestAProgramEndsWithItsParent(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			own, err := os.Executable()
			require.NoError(t, err)
			between := exec.CommandContext(t.Context(), own)
			between.Env = append(os.Environ(), "BETWEEN="+strconv.Itoa(int(signal)))
			out, err := between.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, between.Start())
			lines := bufio.NewReader(out)
			said, err := lines.ReadString('\n')
			require.NoError(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(said))
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(pid, 0), "it runs")
			require.NoError(t, between.Process.Kill())
			_, err = io.Copy(io.Discard, lines)
			require.NoError(t, err, "the pipe ends when nobody holds it any more")
			require.Error(t, between.Wait())
		})
	}
}

func TestRunIsTheProgramsOwn(t *testing.T) {
	t.Parallel()
	require.NoError(t, child.Run(exec.CommandContext(t.Context(), "true"), syscall.SIGKILL))
	var exit *exec.ExitError
	require.ErrorAs(t, child.Run(exec.CommandContext(t.Context(), "sh", "-c", "exit 7"), syscall.SIGKILL), &exit)
	require.Equal(t, 7, exit.ExitCode())
	require.ErrorIs(t, child.Run(exec.CommandContext(t.Context(), "/does/not/exist"), syscall.SIGKILL), os.ErrNotExist)
}
