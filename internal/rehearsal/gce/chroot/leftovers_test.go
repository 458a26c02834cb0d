//go:build linux

package chroot_test

import (
	"bufio"
	"bytes"
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
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
)

// lingering is the enabled unit of a disk that leaves a process behind, found by token.
func lingering(token string) map[string]string {
	return map[string]string{"linger.service": unit("", "linger "+token)}
}

// processes are those with token on their command line.
func processes(t *testing.T, token string) (out []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, name := range files {
		line, err := os.ReadFile(name)
		if err == nil && bytes.Contains(line, []byte("sleep\x00"+token)) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			require.NoError(t, err)
			out = append(out, pid)
		}
	}
	return out
}

func mountsBelow(t *testing.T, dir string) (out []string) {
	t.Helper()
	all, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, dir) {
			out = append(out, line)
		}
	}
	return out
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	token := "stop-" + strconv.Itoa(os.Getpid())
	disk := node(t, lingering(token))
	m, s, _ := boot(t, h, disk)
	s.wait(t, "Finished linger.service.")
	require.Len(t, processes(t, token), 1)
	require.Empty(t, mountsBelow(t, filepath.Dir(disk)), "no mount is seen outside")
	require.NoError(t, m.Stop())
	require.Empty(t, processes(t, token))
	require.NoError(t, m.Stop(), "once more")
	<-m.Done()
}

// A machine that is stopped while it boots is gone too.
func TestStopDuringBoot(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	disk := node(t, map[string]string{"sleep.service": unit("", "sleep")})
	for range 3 {
		m, s, _ := boot(t, h, disk)
		require.NoError(t, m.Stop())
		require.NotContains(t, s.String(), "Kernel panic")
	}
	m, s, _ := boot(t, h, disk)
	s.wait(t, "Command line")
	require.NoError(t, m.Stop())
	require.NotContains(t, s.String(), "Kernel panic")
}

// dirVariable makes TestHostProcess the program that another test kills.
const dirVariable = "TEST_MACHINE_DIR"

func TestHostProcess(t *testing.T) {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		t.Skip("run by another test, in a process of its own")
	}
	h, err := open(filepath.Join(dir, "hosts"), chroot.Faults{})
	require.NoError(t, err)
	_, s, _ := boot(t, h, filepath.Join(dir, "root.squashfs.raw"))
	s.wait(t, "Finished linger.service.")
	fmt.Println("\nBOOTED")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// hostProcess runs TestHostProcess until its machine has booted.
func hostProcess(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	own, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), own, "-test.run=^TestHostProcess$")
	cmd.Env = append(os.Environ(), dirVariable+"="+dir)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var said []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if said = append(said, lines.Text()); lines.Text() == "BOOTED" {
			return cmd
		}
	}
	t.Fatal(strings.Join(said, "\n"))
	return nil
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
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 30_000)
		}
		require.NoError(t, err)
		require.Equal(t, 1, n, "process %d did not end", pid)
	}
}

func TestNothingSurvivesKill(t *testing.T) {
	t.Parallel()
	newHost(t, chroot.Faults{}) // or skip
	token := "kill-" + strconv.Itoa(os.Getpid())
	disk := node(t, lingering(token))
	dir := filepath.Dir(disk)
	cmd := hostProcess(t, dir)
	left := processes(t, token)
	require.Len(t, left, 1)
	ended := watch(t, left[0])

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	ended()
	require.Empty(t, mountsBelow(t, dir))

	folders := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "hosts", "run-*"))
		require.NoError(t, err)
		return found
	}
	require.Len(t, folders(), 1)
	h, err := open(filepath.Join(dir, "hosts"), chroot.Faults{})
	require.NoError(t, err)
	require.Len(t, folders(), 1, "the next host removes the folder and has its own")
	require.NoError(t, h.Close())
	require.Empty(t, folders())
	require.FileExists(t, disk, "a disk is its owner's")
}

// Close ends what was not stopped.
func TestClose(t *testing.T) {
	t.Parallel()
	newHost(t, chroot.Faults{}) // or skip
	h, err := open(filepath.Join(t.TempDir(), "hosts"), chroot.Faults{})
	require.NoError(t, err)
	token := "close-" + strconv.Itoa(os.Getpid())
	m, s, _ := boot(t, h, node(t, lingering(token)))
	s.wait(t, "Finished linger.service.")
	require.NoError(t, h.Close())
	<-m.Done()
	require.Empty(t, processes(t, token))
}

func TestAMissingProgram(t *testing.T) {
	t.Parallel()
	require.NoError(t, chroot.Missing("sh", "dash"))
	err := chroot.Missing("no-such-program", "its-package")
	require.EqualError(t, err, "the rehearsal's VMs need no-such-program")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "apt-get install its-package", f.Hint)
}

// Without root and without ids of its own, a user is told what to do before anything starts.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	if os.Getenv(dirVariable) == "refuse" {
		_, err := open(os.TempDir(), chroot.Faults{})
		fmt.Println(err)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root becomes somebody else")
	}
	own, err := os.Executable()
	require.NoError(t, err)
	f, err := os.Open(own) // its folder is root's alone
	require.NoError(t, err)
	defer f.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/fd/3", "-test.run=^TestOpenRefuses$")
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = append(os.Environ(), dirVariable+"=refuse")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321},
		Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, "the rehearsal's VMs need newuidmap|this machine gives the rehearsal's VMs no namespaces",
		string(out))
}
