package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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
}
