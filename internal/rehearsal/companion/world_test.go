package companion_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/companion"
)

// How long tests wait for a program that starts.
const tick = 10 * time.Millisecond

// call runs a program to its end, and gives its exit code and what it said.
func call(t *testing.T, env map[string]string, args ...string) (int, string) {
	t.Helper()
	ctx := hang.Context(t)
	var said bytes.Buffer
	code := companion.Main(ctx, companion.Process{Args: args, Stderr: &said,
		Getenv: func(name string) string { return env[name] }})
	require.NoError(t, ctx.Err(), "it runs on: %s", said.String())
	return code, said.String()
}

// home is a folder for merod, and the front of its command lines there.
func home(t *testing.T) (string, func(...string) []string) {
	t.Helper()
	dir := t.TempDir()
	return filepath.Join(dir, "node"), func(args ...string) []string {
		return append([]string{"/usr/lib/mero/merod", "--home", dir, "--node", "node"}, args...)
	}
}

// platform is a node's address on a machine that it shares with others.
func platform(t *testing.T) map[string]string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 192+rand.IntN(60), rand.IntN(256), 1+rand.IntN(250)))
	require.NoError(t, err)
	defer l.Close()
	return map[string]string{agent.NodeHostVariable: l.Addr().String()}
}

// start runs a program until the test ends, or the returned function is called.
func start(t *testing.T, env map[string]string, args ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var said bytes.Buffer
	var code int
	running.Go(func() {
		code = companion.Main(ctx, companion.Process{Args: args, Stderr: &said,
			Getenv: func(name string) string { return env[name] }})
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		require.Zero(t, code, said.String())
	})
	t.Cleanup(stop)
	return stop
}

// ask waits for an answer of the node's port 80.
func ask(t *testing.T, env map[string]string, method, path string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: hang.Limit(t), Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+env[agent.NodeHostVariable]+path, nil)
	require.NoError(t, err)
	var resp *http.Response
	require.Eventually(t, func() bool { resp, err = client.Do(req); return err == nil }, hang.Limit(t), tick)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}
