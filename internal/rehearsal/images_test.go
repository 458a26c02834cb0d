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
	status, _ = get("1/merod.tar.gz")
	require.Equal(t, http.StatusNotFound, status)
	require.NotNil(t, w.Env.ImagesOf(filepath.Join("..", "..")))
	status, other := get("1/merod.tar.gz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, merod, other, "of the same sources")
	require.NotNil(t, w.Env.ImagesOf(t.TempDir()))
	status, _ = get("2/merod.tar.gz")
	require.Equal(t, http.StatusNotFound, status, "a work tree without sources has none")
}

// The spec's own example of a base image is one that no public source knows. A
// build of it stops as it would at Google, and says what there is.
func TestABaseImageThatDoesNotExist(t *testing.T) {
	t.Parallel()
	root := repository(t)
	require.NoError(t, os.WriteFile(filepath.Join(root, "packer", "base.pkrvars.hcl"),
		[]byte("source_image = \"ubuntu-2404-tdx-v20250101\"\nsource_image_project = \"ubuntu-os-cloud\"\n"+
			"source_image_family = \"ubuntu-2404-tdx\"\n"), 0o600))
	w, _ := begun(t, root, t.TempDir(), first, first)
	if _, err := w.Env.Cloud(t.Context(), nil); err != nil {
		t.Skipf("%v", err) // no root and no namespaces
	}
	_, err := w.Env.Images.Build(t.Context(),
		image.BuildRequest{Profile: release.Debug, Name: "mero-tee-debug-0-1-0-0a1b2c3d"})
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Usage, f.Code)
	require.Equal(t, "image ubuntu-2404-tdx-v20250101 of project ubuntu-os-cloud", f.Expected)
	require.Contains(t, f.Got, "ubuntu-2604-lts-amd64 (ubuntu-2604-resolute-amd64-v20260918)")
	require.NotContains(t, f.Got, "arm64")
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
