package image_test

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	w, built := newWorld(t), build(t)
	for _, p := range release.Profiles() {
		digest := w.push(t.Context(), t, built[p], p)
		require.NoError(t, w.registry.MakePublic(pkg))
		require.NoError(t, image.Inspect(t.Context(), digest, expected(p), image.Remote{Transport: w.remote.Transport}))
	}
}

func TestInspectComparesWithTheRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
	for name, change := range map[string]func(*image.Expected){
		`/etc/mero-kms/image-profile holds "debug\n", not "locked-read-only"`: func(e *image.Expected) {
			e.Profile = release.LockedReadOnly
		},
		"label org.opencontainers.image.version":  func(e *image.Expected) { e.Version.Minor = 9 },
		"label org.opencontainers.image.revision": func(e *image.Expected) { e.Revision = "x" },
		"label org.opencontainers.image.source":   func(e *image.Expected) { e.Source = "x" },
	} {
		want := expected(release.Debug)
		change(&want)
		requireFinding(t, image.Inspect(t.Context(), digest, want, w.remote), name)
	}
}

func requireFinding(t *testing.T, err error, finding string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Verification, f.Code)
	require.Contains(t, f.Got, finding)
}

// layerOf makes a layer of the given entries.
func layerOf(t testing.TB, headers ...tar.Header) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := strings.Repeat("x", int(h.Size))
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	require.NoError(t, err)
	return layer
}

// altered is the debug image's configuration after change.
func altered(t testing.TB, change func(*v1.ConfigFile)) v1.Image {
	t.Helper()
	built := build(t)[release.Debug]
	file, err := built.ConfigFile()
	require.NoError(t, err)
	file = file.DeepCopy()
	change(file)
	out, err := mutate.ConfigFile(built, file)
	require.NoError(t, err)
	return out
}

func withConfig(t testing.TB, change func(*v1.Config)) v1.Image {
	t.Helper()
	return altered(t, func(f *v1.ConfigFile) { change(&f.Config) })
}

func withLayer(t testing.TB, headers ...tar.Header) v1.Image {
	t.Helper()
	out, err := mutate.AppendLayers(build(t)[release.Debug], layerOf(t, headers...))
	require.NoError(t, err)
	return out
}

// riscv is the debug image, labelled as one for another architecture.
func riscv(t testing.TB) v1.Image {
	t.Helper()
	return altered(t, func(f *v1.ConfigFile) { f.Architecture = "riscv64" })
}

func TestInspectFindsWhatAnImageMustNotBe(t *testing.T) {
	t.Parallel()
	for finding, built := range map[string]v1.Image{
		`user is "0:0"`:    withConfig(t, func(c *v1.Config) { c.User = "0:0" }),
		`runs ["/bin/sh"]`: withConfig(t, func(c *v1.Config) { c.Entrypoint = []string{"/bin/sh"} }),
		`["--debug"]`:      withConfig(t, func(c *v1.Config) { c.Cmd = []string{"--debug"} }),
		"does not expose":  withConfig(t, func(c *v1.Config) { c.ExposedPorts["22/tcp"] = struct{}{} }),
		"image.created is missing": withConfig(t,
			func(c *v1.Config) { delete(c.Labels, "org.opencontainers.image.created") }),
		"mero-kms.profile is": withConfig(t,
			func(c *v1.Config) { c.Labels["network.calimero.mero-kms.profile"] = "locked-read-only" }),
		"holds 3 files":         withLayer(t, tar.Header{Name: "bin/sh", Mode: 0o755, Size: 1}),
		"holds 3 files instead": withLayer(t, tar.Header{Name: "mero-kms", Mode: 0o755, Size: 1}), // over the first
		"is for linux/riscv64":  riscv(t),
	} {
		w := newWorld(t)
		digest := w.push(t.Context(), t, built, release.Debug)
		requireFinding(t, image.Inspect(t.Context(), digest, expected(release.Debug), w.remote), finding)
	}
}

// A digest of an index does not say which of its images is meant.
func TestAnIndexIsNotAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: build(t)[release.Debug]})
	digest, err := index.Digest()
	require.NoError(t, err)
	named := w.tag(t, "index").Context().Digest(digest.String())
	require.NoError(t, remote.WriteIndex(named, index, remote.WithAuth(w.remote.Auth)))
	require.ErrorContains(t, image.Inspect(t.Context(), named, expected(release.Debug), w.remote), "no image's manifest")
	_, err = image.Unpack(t.Context(), named, t.TempDir()+"/rootfs", w.remote)
	require.ErrorContains(t, err, "no image's manifest")
}

func TestInspectOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.tag(t, "x").Context().Digest("sha256:" + strings.Repeat("0", 64))
	err := image.Inspect(t.Context(), digest, expected(release.Debug), w.remote)
	require.ErrorContains(t, err, "read "+digest.Name())
}
