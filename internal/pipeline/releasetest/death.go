package releasetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/hang"
)

// Die ends the process as a loss of power would.
func Die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// Died runs this test binary as a command, with a variable NAME=value, that must
// end by Die, and returns what it said.
func Died(t testing.TB, variable string) string {
	t.Helper()
	ctx := hang.Context(t)
	command := exec.CommandContext(ctx, os.Args[0])
	command.Env = append(os.Environ(), variable)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	err := child.Run(command, syscall.SIGKILL)
	require.NoError(t, ctx.Err(), said.String())
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "it came to its end\n%s", said.String())
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "%v\n%s", err, said.String())
	return said.String()
}

// RequireNoProcess waits until nothing lives on that has to do with the folder.
func RequireNoProcess(t testing.TB, dist string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.Empty(c, ProcessesOf(dist)) },
		hang.Limit(t), 20*time.Millisecond)
}

// ProcessesOf finds the command lines of the processes that have to do with a
// folder, by their id: their program, root or working directory lies in it, or
// their command line names it.
func ProcessesOf(dir string) map[int]string {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	found := map[int]string{}
	for _, file := range commands {
		line, _ := os.ReadFile(file) // a process that has ended meanwhile is none
		about := []string{string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))}
		for _, link := range []string{"exe", "root", "cwd"} {
			to, _ := os.Readlink(filepath.Join(filepath.Dir(file), link))
			about = append(about, to)
		}
		if strings.Contains(strings.Join(about, "\n"), dir) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))) // as the pattern says
			found[pid] = about[0]
		}
	}
	return found
}
