package rehearsal_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The programs beside the agent come from a host of this world: for a name the
// same bytes each time, and nothing for what is no archive.
func TestStandIns(t *testing.T) {
	t.Parallel()
	w, _ := begun(t, filepath.Join("..", ".."), t.TempDir(), first, first)
	get := func(name string) (int, string) {
		resp, err := w.Env.Client().Get("https://companions.rehearsal.invalid/" + name)
		require.NoError(t, err)
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(data)
	}
	status, merod := get("merod.tar.gz")
	require.Equal(t, http.StatusOK, status)
	_, again := get("merod.tar.gz")
	require.Equal(t, merod, again)
	_, vector := get("vector.tar.gz")
	require.NotEqual(t, merod, vector)
	status, _ = get("merod")
	require.Equal(t, http.StatusNotFound, status)
}

// A base image that is a family stops a build of the world too, before a cloud
// is even started.
func TestUnpinnedBaseImage(t *testing.T) {
	t.Parallel()
	root, dist := repository(t), t.TempDir()
	base, err := packer.ReadBase(root)
	require.NoError(t, err)
	path := filepath.Join(root, "packer", "base.pkrvars.hcl")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path,
		[]byte(strings.Replace(string(data), `"`+base.Image+`"`, `"`+base.Family+`"`, 1)), 0o600))
	w, _ := begun(t, root, dist, first, first)
	_, content := w.Env.Images.Content(t.Context(), release.Debug)
	_, build := w.Env.Images.Build(t.Context(), image.BuildRequest{Profile: release.Debug})
	_, drift := w.Env.Images.Drift(t.Context())
	for what, err := range map[string]error{"content": content, "build": build, "drift": drift} {
		require.Equal(t, fault.Usage, fault.CodeOf(err), "%s: %v", what, err)
		require.ErrorContains(t, err, "the base image is not pinned", what)
	}
}
