package image_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestUnpack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push(t.Context(), t, build(t)[release.LockedReadOnly], release.LockedReadOnly)
	dir := filepath.Join(t.TempDir(), "rootfs")
	config, err := image.Unpack(t.Context(), digest, dir, w.remote)
	require.NoError(t, err)
	require.Equal(t, []string{"/mero-kms"}, config.Entrypoint)
	binary, err := os.ReadFile(filepath.Join(dir, "mero-kms"))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("binary for amd64\n", 1000), string(binary))
	info, err := os.Stat(filepath.Join(dir, "mero-kms"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	pin, err := os.ReadFile(filepath.Join(dir, "etc", "mero-kms", "image-profile"))
	require.NoError(t, err)
	require.Equal(t, "locked-read-only\n", string(pin))

	_, err = image.Unpack(t.Context(), digest, dir, w.remote)
	require.Error(t, err, "a folder that holds something is not written over")
}

func TestUnpackRefusesAnotherPlatform(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push(t.Context(), t, riscv(t), release.Debug)
	_, err := image.Unpack(t.Context(), digest, filepath.Join(t.TempDir(), "rootfs"), w.remote)
	require.ErrorContains(t, err, "image for linux/riscv64, not linux/amd64")
}

// A developer's umask of 077 once made the image's own files unreadable for
// the image's user. Not parallel: the umask is the process's.
func TestUnpackDoesNotDependOnTheUmask(t *testing.T) {
	w := newWorld(t)
	digest := w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
	dir := filepath.Join(t.TempDir(), "rootfs")
	defer syscall.Umask(syscall.Umask(0o077))
	_, err := image.Unpack(t.Context(), digest, dir, w.remote)
	require.NoError(t, err)
	for name, want := range map[string]os.FileMode{".": 0o755, "etc": 0o755, "etc/mero-kms": 0o755,
		"etc/mero-kms/image-profile": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), name)
	}
}

func TestUnpackRefusesWhatIsNotPlain(t *testing.T) {
	t.Parallel()
	for want, headers := range map[string][]tar.Header{
		`"../evil" leaves the image`:      {{Name: "../evil", Size: 1}},
		`"/etc/evil" leaves the image`:    {{Name: "/etc/evil", Size: 1}},
		`"a/../../evil" leaves the image`: {{Name: "a/../../evil", Size: 1}},
		`"" leaves the image`:             {{Name: "/", Typeflag: tar.TypeDir}},
		`"link" is neither a file nor a folder`: {{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc"},
			{Name: "link/evil", Size: 1}},
		`"hard" is neither a file nor a folder`:         {{Name: "hard", Typeflag: tar.TypeLink, Linkname: "mero-kms"}},
		`"null" is neither a file nor a folder`:         {{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		`"etc/.wh.mero-kms" is a whiteout`:              {{Name: "etc/.wh.mero-kms"}},
		"holds more than 1000 files or 536870912 bytes": many(1001),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			digest := w.push(t.Context(), t, withLayer(t, headers...), release.Debug)
			parent := t.TempDir()
			_, err := image.Unpack(t.Context(), digest, filepath.Join(parent, "rootfs"), w.remote)
			require.ErrorContains(t, err, want)
			left, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Empty(t, left, "nothing of it stays behind")
		})
	}
}

func many(n int) []tar.Header {
	out := make([]tar.Header, n)
	for i := range out {
		out[i] = tar.Header{Name: "d" + strings.Repeat("x", i%100) + "/" + strings.Repeat("y", i/100+1), Mode: 0o644}
	}
	return out
}

func TestUnpackNoticesChangedBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
	for _, path := range []string{"/blobs/", "/manifests/"} {
		w.remote.Transport = flip{path}
		parent := t.TempDir()
		_, err := image.Unpack(t.Context(), digest, filepath.Join(parent, "rootfs"), w.remote)
		require.Error(t, err, path)
		left, err := os.ReadDir(parent)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestLayout(t *testing.T) {
	t.Parallel()
	built := build(t)[release.Debug]
	want, err := built.Digest()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "layout")
	require.NoError(t, image.Layout(built, dir))
	path, err := layout.FromPath(dir)
	require.NoError(t, err)
	top, err := path.ImageIndex()
	require.NoError(t, err)
	manifest, err := top.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	require.Equal(t, want, manifest.Manifests[0].Digest)
	require.Equal(t, "linux/amd64", manifest.Manifests[0].Platform.String())
	_, err = top.Image(want)
	require.NoError(t, err)
}
