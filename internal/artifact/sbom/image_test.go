package sbom_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// buildProgram compiles testdata/program as the image's binary is compiled.
func buildProgram(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
		"-o", path, "./testdata/program")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// writeLayout puts an image that holds the binary into an OCI layout, as the release's image is stored.
func writeLayout(t testing.TB, binary, architecture string) string {
	t.Helper()
	p := v1.Platform{OS: "linux", Architecture: architecture}
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(writeImage(t, binary, p), layout.WithPlatform(p)))
	return dir
}

func writeImage(t testing.TB, binary string, p v1.Platform) v1.Image {
	t.Helper()
	content, err := os.ReadFile(binary)
	require.NoError(t, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		body []byte
	}{{"mero-kms", content}, {"etc/mero-kms/image-profile", []byte("debug\n")}} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.body)),
			ModTime: time.Unix(0, 0)}))
		_, err = w.Write(f.body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	})
	require.NoError(t, err)
	image, err := mutate.ConfigFile(empty.Image,
		&v1.ConfigFile{Architecture: p.Architecture, OS: p.OS, RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(t, err)
	image, err = mutate.AppendLayers(image, layer)
	require.NoError(t, err)
	return image
}

// pad appends zeros to a copy of the binary until it has size bytes.
func pad(path, binary string, size int) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(content, make([]byte, size-len(content))...), 0o755)
}
