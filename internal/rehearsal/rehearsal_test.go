package rehearsal_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func open(t *testing.T, dist string) (*rehearsal.World, error) {
	t.Helper()
	cfg, err := config.Load(func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	cfg.KMSVersion, cfg.TEEVersion = first, first
	return rehearsal.Open(t.Context(), filepath.Join("..", ".."), dist, cfg, console.New(&bytes.Buffer{}, false))
}

func TestNothingLeavesTheMachine(t *testing.T) {
	t.Parallel()
	w, err := open(t, t.TempDir())
	require.NoError(t, err)
	defer w.Close()
	_, err = w.Env.Client().Get("https://example.com/")
	require.ErrorIs(t, err, network.ErrOutside)
	for _, host := range w.Hosts() {
		resp, err := w.Env.Client().Get("https://" + host + "/")
		require.NoError(t, err, host)
		require.NoError(t, resp.Body.Close())
	}
	resp, err := w.Env.Client().Get("https://raw.githubusercontent.com/" + config.DefaultRepository + "/main/none")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}

func TestTheWorldHasOneUser(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	first, err := open(t, dist)
	require.NoError(t, err)
	_, err = open(t, dist)
	require.ErrorContains(t, err, "another command is using the rehearsal")
	require.NoError(t, first.Close())
	again, err := open(t, dist)
	require.NoError(t, err, "the lock goes with its holder")
	require.Equal(t, first.Env.TDXRoot, again.Env.TDXRoot, "the simulated hardware stays the same")
	require.NoError(t, again.Close())
}

func TestEachRehearsalHasItsOwnHardware(t *testing.T) {
	t.Parallel()
	a, err := open(t, t.TempDir())
	require.NoError(t, err)
	defer a.Close()
	b, err := open(t, t.TempDir())
	require.NoError(t, err)
	defer b.Close()
	require.NotEqual(t, a.Env.TDXRoot, b.Env.TDXRoot)
}

func TestDamagedSeedIsRefused(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dist, "rehearsal"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dist, "rehearsal", "tdx.seed"), []byte("short"), 0o600))
	_, err := open(t, dist)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "32 bytes, mode 600", f.Expected)
	require.Equal(t, "5 bytes, mode 600", f.Got)
}

// A release asks as a job of its workflow, people ask as themselves, and a token
// of the local GitHub that a command is given goes before both.
func TestWhoAsksTheLocalGitHub(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	asks := func(given string, owner bool) (token string) {
		cfg, err := config.Load(func(string) (string, bool) { return "", false })
		require.NoError(t, err)
		cfg.GitHubToken = config.Secret(given)
		w, err := rehearsal.Open(t.Context(), filepath.Join("..", ".."), dist, cfg, console.New(&bytes.Buffer{}, false))
		require.NoError(t, err)
		defer w.Close()
		if owner {
			w.AskAsOwner()
		}
		c, err := w.Env.GitHub()
		require.NoError(t, err)
		_, err = c.Access(t.Context())
		require.NoError(t, err)
		return w.Env.GitHubToken.Reveal()
	}
	w, err := open(t, dist)
	require.NoError(t, err)
	reader, err := w.JobToken(map[string]string{"contents": "read"})
	require.NoError(t, err)
	releaser, err := w.JobToken(rehearsal.JobPermissions())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, releaser, asks("", false))
	require.Equal(t, releaser, asks("ghp_of-the-real-one", false))
	require.Equal(t, reader, asks(reader, false))
	require.Equal(t, reader, asks(reader, true))
	require.NotEqual(t, releaser, asks("", true))
}
