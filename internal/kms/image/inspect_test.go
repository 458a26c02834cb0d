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
		got, err := image.Inspect(t.Context(), digest, expected(p), image.Remote{Transport: w.remote.Transport})
		require.NoError(t, err)
		require.Equal(t, digest.DigestStr(), got.Digest.String())
		require.Equal(t, p, got.Profile)
		require.Equal(t, []string{"linux/amd64", "linux/arm64"}, []string{got.Platforms[0].Name, got.Platforms[1].Name})
		files := got.Platforms[1].Files
		require.Len(t, files, 2)
		require.Equal(t, "etc/mero-kms/image-profile", files[0].Path)
		require.Equal(t, "mero-kms", files[1].Path)
		require.EqualValues(t, 0o755, files[1].Mode)
		want, _, err := v1.SHA256(strings.NewReader(strings.Repeat("binary for arm64\n", 1000)))
		require.NoError(t, err)
		require.Equal(t, want, files[1].Digest)
	}
}

func TestInspectComparesWithTheRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
	for name, change := range map[string]func(*image.Expected){
		`/etc/mero-kms/image-profile holds "debug\n", not "locked-read-only"`: func(e *image.Expected) { e.Profile = release.LockedReadOnly },
		"label org.opencontainers.image.version":                              func(e *image.Expected) { e.Version.Minor = 9 },
		"label org.opencontainers.image.revision":                             func(e *image.Expected) { e.Revision = "x" },
		"label org.opencontainers.image.source":                               func(e *image.Expected) { e.Source = "x" },
	} {
		want := expected(release.Debug)
		change(&want)
		_, err := image.Inspect(t.Context(), digest, want, w.remote)
		requireFinding(t, err, name)
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

// altered is the debug index with each image passed through change.
func altered(t testing.TB, change func(v1.Image) v1.Image) v1.ImageIndex {
	t.Helper()
	built := build(t)[release.Debug]
	manifest, err := built.IndexManifest()
	require.NoError(t, err)
	out := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, d := range manifest.Manifests {
		img, err := built.Image(d.Digest)
		require.NoError(t, err)
		out = mutate.AppendManifests(out, mutate.IndexAddendum{Add: change(img), Descriptor: v1.Descriptor{Platform: d.Platform}})
	}
	return out
}

func withConfig(t testing.TB, change func(*v1.Config)) v1.ImageIndex {
	return altered(t, func(img v1.Image) v1.Image {
		file, err := img.ConfigFile()
		require.NoError(t, err)
		config := *file.Config.DeepCopy()
		change(&config)
		out, err := mutate.Config(img, config)
		require.NoError(t, err)
		return out
	})
}

func withLayer(t testing.TB, headers ...tar.Header) v1.ImageIndex {
	return altered(t, func(img v1.Image) v1.Image {
		out, err := mutate.AppendLayers(img, layerOf(t, headers...))
		require.NoError(t, err)
		return out
	})
}

func TestInspectFindsWhatAnImageMustNotBe(t *testing.T) {
	t.Parallel()
	for finding, index := range map[string]v1.ImageIndex{
		`user is "0:0"`:            withConfig(t, func(c *v1.Config) { c.User = "0:0" }),
		`runs ["/bin/sh"]`:         withConfig(t, func(c *v1.Config) { c.Entrypoint = []string{"/bin/sh"} }),
		`["--debug"]`:              withConfig(t, func(c *v1.Config) { c.Cmd = []string{"--debug"} }),
		"does not expose":          withConfig(t, func(c *v1.Config) { c.ExposedPorts["22/tcp"] = struct{}{} }),
		"image.created is missing": withConfig(t, func(c *v1.Config) { delete(c.Labels, "org.opencontainers.image.created") }),
		"mero-kms.profile is":      withConfig(t, func(c *v1.Config) { c.Labels["network.calimero.mero-kms.profile"] = "locked-read-only" }),
		"holds 3 files":            withLayer(t, tar.Header{Name: "bin/sh", Mode: 0o755, Size: 1}),
	} {
		w := newWorld(t)
		digest := w.push(t.Context(), t, index, release.Debug)
		_, err := image.Inspect(t.Context(), digest, expected(release.Debug), w.remote)
		requireFinding(t, err, finding)
	}
}

func TestInspectWantsBothPlatformsAndNothingElse(t *testing.T) {
	t.Parallel()
	built := build(t)[release.Debug]
	manifest, err := built.IndexManifest()
	require.NoError(t, err)
	first, err := built.Image(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	amd64, riscv := image.Platforms()[0], v1.Platform{OS: "linux", Architecture: "riscv64"}
	arm64 := image.Platforms()[1]
	for want, platforms := range map[string][]*v1.Platform{
		"linux/arm64 is missing":   {&amd64},
		"config says linux/amd64":  {&amd64, &arm64},
		"is not one of":            {&amd64, &amd64, &riscv},
		"not one of the platforms": {nil},
	} {
		index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
		for _, p := range platforms {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: first, Descriptor: v1.Descriptor{Platform: p}})
		}
		w := newWorld(t)
		digest := w.push(t.Context(), t, index, release.Debug)
		_, err = image.Inspect(t.Context(), digest, expected(release.Debug), w.remote)
		require.Error(t, err)
		var f *fault.Error
		require.ErrorAs(t, err, &f)
		require.Contains(t, f.Error()+f.Got, want)
	}
}

func TestInspectOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.tag(t, "x").Context().Digest("sha256:" + strings.Repeat("0", 64))
	_, err := image.Inspect(t.Context(), digest, expected(release.Debug), w.remote)
	require.ErrorContains(t, err, "read "+digest.Name())
}
