package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magefile/mage/mage"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/calimero-network/mero-tee/internal/cli/help"
)

// The compiler sees the flags that everything is compiled with, and the targets the variables as they were.
func TestSharing(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=readonly")
	t.Setenv("CGO_ENABLED", "1")
	require.NoError(t, os.Unsetenv("CGO_ENABLED")) // Setenv puts back what it was before the test
	code := sharing(func() int {
		require.Equal(t, "-mod=readonly -trimpath", os.Getenv("GOFLAGS"))
		require.Equal(t, "0", os.Getenv("CGO_ENABLED"))
		return 7
	})
	require.Equal(t, 7, code)
	require.Equal(t, "-mod=readonly", os.Getenv("GOFLAGS"))
	_, set := os.LookupEnv("CGO_ENABLED")
	require.False(t, set)
}

// Who waits is told, soon and then every ten seconds; who does not wait reads nothing.
func TestTold(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]string{
		time.Second: "",
		25 * time.Second: "[INFO] compiling the targets: once, and after each change of them\n" +
			"[INFO] still compiling the targets: 10 s\n[INFO] still compiling the targets: 20 s\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			require.Equal(t, 3, told(&out, func() int { time.Sleep(took); return 3 }))
			require.Equal(t, want, out.String())
		})
	}
}

// Mage's own commands are Mage's own.
func TestMagesOwnCommands(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "run", ".", "-h").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "mage [options] [target]")
	out, err = exec.Command("go", "run", ".", "-noSuchFlag").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "noSuchFlag")
	out, err = exec.Command("go", "run", ".", "-d", t.TempDir(), "-l").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "No .go files marked with the mage build tag")
}

// What is said of the targets comes from the magefiles: of all, or of one by its name or its alias.
func TestExplain(t *testing.T) {
	t.Parallel()
	manual, err := help.Read("go", "../../..")
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		inv       mage.Invocation
		code      int
		out, said string
	}{
		"all":     {mage.Invocation{List: true}, 0, "\nBegin here\n  release:kms  ", ""},
		"nothing": {mage.Invocation{}, 0, "\nBegin here\n  release:kms  ", ""},
		"one": {mage.Invocation{Help: true, Args: []string{"Release:KMS"}}, 0,
			"\nExample: go tool mage release:kms", ""},
		"an alias":  {mage.Invocation{Help: true, Args: []string{"buildkms"}}, 0, "kms:build builds ", ""},
		"no target": {mage.Invocation{Help: true, Args: []string{"kms:\x1b"}}, 2, "", `Unknown target: "kms:\x1b"`},
	} {
		var out, said bytes.Buffer
		tc.inv.Stdout, tc.inv.Stderr = &out, &said
		require.Equal(t, tc.code, explain(tc.inv, manual, 0), name)
		require.Contains(t, out.String(), tc.out, name)
		require.Contains(t, said.String(), tc.said, name)
		require.NotContains(t, out.String()+said.String(), "\x1b", name)
	}
}

// Who asks the target, as other programs are asked, gets the same help; Mage would take it for a flag of the target's.
func TestAskingTheTarget(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "run", ".", "-d", "../../..", "verify:release", "--help").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "\nUsage:   go tool mage verify:release TAG [-quick]")
	for _, args := range [][]string{nil, {"ci"}, {"-h"}, {"ci", "-x"}, {"ci", "lint", "-h"}} {
		require.Equal(t, mage.Invocation{Args: args}, asked(mage.Invocation{Args: args}))
	}
}

// Help that cannot be written is a failure.
func TestExplainToNobody(t *testing.T) {
	t.Parallel()
	closed, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	var said bytes.Buffer
	require.Equal(t, 1, explain(mage.Invocation{List: true, Stdout: closed, Stderr: &said}, &help.Manual{}, 0))
	require.Contains(t, said.String(), "file already closed")
}

// A terminal has columns, and a file has none.
func TestColumns(t *testing.T) {
	t.Parallel()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	defer terminal.Close()
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 72}))
	require.Equal(t, 72, columns(terminal))
	file, err := os.Open("main.go")
	require.NoError(t, err)
	defer file.Close()
	require.Zero(t, columns(file))
}
