package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// TestMain lets the test binary be the key service, so that signals and the inherited socket are real.
func TestMain(m *testing.M) {
	if os.Getenv("MERO_KMS_TEST_SERVE") == "1" {
		main()
	}
	os.Exit(m.Run())
}

func command(t testing.TB, stderr io.Writer, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), exe)
	c.Env = append([]string{"MERO_KMS_TEST_SERVE=1", "MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug",
		"MERO_KMS_POLICY_URL=file:///nonexistent/policy.json", "DSTACK_SOCKET_PATH=/nonexistent/dstack.sock"}, env...)
	c.Stderr = stderr
	return c
}

// inherited is a listening socket, and the file by which a child takes it over.
func inherited(t testing.TB) (address string, f *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f, err = l.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String(), f
}

func TestServesOnAnInheritedSocketUntilSIGTERM(t *testing.T) {
	t.Parallel()
	address, f := inherited(t)
	var stderr bytes.Buffer
	c := command(t, &stderr, "LISTEN_FDS=1", "LISTEN_ADDR=127.0.0.1:1")
	c.ExtraFiles = []*os.File{f} // becomes descriptor 3
	require.NoError(t, c.Start())
	require.NoError(t, f.Close())

	// The socket listens already: a request made before the service accepts waits for it.
	resp, err := http.Get("http://" + address + "/health")
	require.NoError(t, err)
	var h wire.Health
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&h))
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "1.2.0", h.Version)
	require.False(t, h.PolicyReady)
	require.Empty(t, h.Warning, "Intel's root is the default")

	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	require.NoError(t, c.Wait(), stderr.String())
	require.Contains(t, stderr.String(), "key service stopped")
}

func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  string
		code int
		want string
	}{
		"no version": {"MERO_KMS_VERSION=", 2, "not a version"},
		"ALLOWED_*":  {"ALLOWED_MRTD=00", 2, "ALLOWED_MRTD is set"},
		"address":    {"LISTEN_ADDR=nowhere", 2, "LISTEN_ADDR"},
		"no socket":  {"LISTEN_FDS=1", 1, "inherited socket"},
		"metrics":    {"METRICS_ADDR=nowhere", 2, "METRICS_ADDR"},
		"no trust":   {"MERO_KMS_TRUSTED_ROOT=/nonexistent/trusted_root.json", 2, "MERO_KMS_TRUSTED_ROOT"},
		"no redis":   {"REDIS_URL=127.0.0.1:6379", 2, "REDIS_URL is malformed"},
		"zero root":  {"MERO_KMS_TDX_ROOT_SHA256=" + strings.Repeat("0", 64), 2, "no trusted TDX root"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			err := command(t, &stderr, "LISTEN_ADDR=127.0.0.1:0", tc.env).Run()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, tc.code, exit.ExitCode())
			require.Contains(t, stderr.String(), tc.want)
			for _, line := range strings.Split(strings.TrimSpace(stderr.String()), "\n") {
				require.True(t, json.Valid([]byte(line)), line)
			}
		})
	}
}

func TestArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	require.Equal(t, 2, run(context.Background(), []string{"--help"}, nil, &stderr))
	require.Contains(t, stderr.String(), "the environment configures the service")
}

// The goal is 100 ms from the start of the program to its first answer.
func BenchmarkStartToHealth(b *testing.B) {
	program := filepath.Join(b.TempDir(), "mero-kms")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(b, err, string(out))
	for b.Loop() {
		address, f := inherited(b)
		c := command(b, io.Discard, "LISTEN_FDS=1")
		c.Path, c.ExtraFiles = program, []*os.File{f}
		require.NoError(b, c.Start())
		resp, err := http.Get("http://" + address + "/health")
		require.NoError(b, err)
		b.StopTimer()
		require.NoError(b, resp.Body.Close())
		require.NoError(b, f.Close())
		require.NoError(b, c.Process.Signal(syscall.SIGTERM))
		require.NoError(b, c.Wait())
		b.StartTimer()
	}
}
