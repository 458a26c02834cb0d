//go:build linux

package dstack_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
)

// stateVariable makes TestProviderProcess the program that other tests run.
const stateVariable = "TEST_DSTACK_STATE"

// TestProviderProcess deploys one application, prints who it runs as, and waits to be killed.
func TestProviderProcess(t *testing.T) {
	state := os.Getenv(stateVariable)
	if state == "" {
		t.Skip("run by other tests, in a process of its own")
	}
	w := newWorld(t, state, dstack.Faults{})
	d, err := w.client.Deploy(t.Context(), w.app(t, "in-a-process", nil))
	require.NoError(t, err)
	var self struct{ UID, GID, PID int }
	w.ask(t, d.URL+"/self", &self)
	logs, err := w.client.Logs(t.Context(), d.ID, "mero-kms", 5)
	require.NoError(t, err)
	require.Contains(t, logs, "serving")
	fmt.Printf("\nDEPLOYED %d %d\n", self.UID, self.GID)
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// providerProcess runs TestProviderProcess until it has deployed.
func providerProcess(t *testing.T, state string, prepare func(*exec.Cmd)) (cmd *exec.Cmd, said string) {
	t.Helper()
	executable := copyOfThisTest(t)
	cmd = exec.CommandContext(t.Context(), executable, "-test.run=^TestProviderProcess$")
	cmd.Env = append(os.Environ(), stateVariable+"="+state)
	prepare(cmd)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(stdout)
	var all []string
	for lines.Scan() {
		all = append(all, lines.Text())
		if rest, ok := strings.CutPrefix(lines.Text(), "DEPLOYED "); ok {
			return cmd, rest
		}
	}
	t.Fatalf("the process did not deploy:\n%s", strings.Join(all, "\n"))
	return nil, ""
}

// copyOfThisTest is a program that any user may run: go test keeps its own in a private folder.
func copyOfThisTest(t *testing.T) string {
	t.Helper()
	own, err := os.Executable()
	require.NoError(t, err)
	data, err := os.ReadFile(own)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	out := filepath.Join(dir, "dstack.test")
	// No fork while the program is open for writing, or executing it fails with "text file busy".
	syscall.ForkLock.RLock()
	err = os.WriteFile(out, data, 0o755)
	syscall.ForkLock.RUnlock()
	require.NoError(t, err)
	return out
}

// children of a process are those whose status names it as parent.
func children(t *testing.T, parent int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var out []int
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		_, after, _ := strings.Cut(string(data), ") ")
		if fields := strings.Fields(after); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			require.NoError(t, err)
			out = append(out, pid)
		}
	}
	return out
}

// watch waits, when it is called, for the end of a process that is no child of
// this one. It takes no other that got the same id meanwhile for it.
func watch(t *testing.T, pid int) (ended func()) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	return func() {
		t.Helper()
		n, err := 0, error(unix.EINTR)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(hang.Limit(t).Milliseconds()))
		}
		require.NoError(t, err)
		require.Equal(t, 1, n, "process %d did not end", pid)
	}
}

// Kill -9 of the provider takes the application with it, and the next provider removes its files.
func TestNothingSurvivesKill(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	cmd, _ := providerProcess(t, state, func(*exec.Cmd) {})
	apps := children(t, cmd.Process.Pid)
	require.Len(t, apps, 1)
	ended := watch(t, apps[0])
	left, err := filepath.Glob(filepath.Join(state, "run-*"))
	require.NoError(t, err)
	require.Len(t, left, 1)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	ended()

	p, err := dstack.New(dstack.Options{State: state, Seed: make([]byte, 32)})
	require.NoError(t, err)
	require.NoDirExists(t, left[0])
	require.NoError(t, p.Close())
	left, err = filepath.Glob(filepath.Join(state, "run-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Without root the application runs in a user namespace, as the image's user.
func TestRunsWithoutRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the other tests run without root already")
	}
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL}
	probe := exec.CommandContext(t.Context(), "unshare", "--user", "true")
	probe.SysProcAttr = nobody
	if err := probe.Run(); err != nil {
		t.Skipf("this machine gives no user namespaces: %v", err)
	}
	state := t.TempDir()
	require.NoError(t, os.Chown(state, 65534, 65534))
	app, err := program() // built here: nobody has no build cache
	require.NoError(t, err)
	built := filepath.Join(state, "program")
	require.NoError(t, os.WriteFile(built, app, 0o644))
	_, said := providerProcess(t, state, func(c *exec.Cmd) {
		c.SysProcAttr = nobody
		c.Env = append(c.Env, programVariable+"="+built)
	})
	require.Equal(t, "65532 65532", said)
}

// TestAbleProcess says what dstack.Able says of the machine as its caller finds it.
func TestAbleProcess(t *testing.T) {
	if os.Getenv("TEST_DSTACK_ABLE") == "" {
		t.Skip("run by other tests, in a process of its own")
	}
	err := dstack.Able(t.Context())
	fmt.Printf("\nABLE %v\n", err)
	var f *fault.Error
	if errors.As(err, &f) {
		fmt.Printf("HINT %s\n", f.Hint)
	}
}

// What an application needs of the machine is tried without one, in words for who lacks it.
func TestAMachineWithoutNamespacesIsToldSoBeforehand(t *testing.T) {
	t.Parallel()
	require.NoError(t, dstack.Able(t.Context()), "this machine runs the other tests")
	if os.Geteuid() != 0 {
		t.Skip("only root can make a machine without namespaces")
	}
	const none = `echo 0 > /proc/sys/user/max_user_namespaces || exit 9
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" -test.run='^TestAbleProcess$'`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", none, copyOfThisTest(t))
	all := []syscall.SysProcIDMap{{Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: all, GidMappings: all,
		GidMappingsEnableSetgroups: true}
	cmd.Env = append(os.Environ(), "TEST_DSTACK_ABLE=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 9 {
		t.Skipf("this machine lets nobody set a limit of namespaces: %v %s", err, out)
	}
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "ABLE this machine gives the rehearsal's applications no user namespaces")
	require.Contains(t, string(out), "no space left on device")
	require.Contains(t, string(out), "HINT run as root; or allow user namespaces for everyone")
}
