package image

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
)

func archived(f *testing.F, headers ...tar.Header) []byte {
	f.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		require.NoError(f, w.WriteHeader(&h))
		_, err := w.Write(make([]byte, h.Size))
		require.NoError(f, err)
	}
	require.NoError(f, w.Close())
	return b.Bytes()
}

// Whatever a registry sends as a layer, what is seen of it are plain files and folders within the image.
func FuzzLayer(f *testing.F) {
	f.Add(archived(f, tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "etc/x", Mode: 0o644, Size: 3}))
	f.Add(archived(f, tar.Header{Name: "../x", Mode: 0o4755}))
	f.Add(archived(f, tar.Header{Name: "x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}))
	f.Add(archived(f, tar.Header{Name: "etc/.wh.x"}))
	f.Add([]byte("no archive"))
	f.Fuzz(func(t *testing.T, data []byte) {
		seen := 0
		left := &budget{files: 100, bytes: 1 << 20}
		_ = walkLayer(static.NewLayer(data, types.OCIUncompressedLayer), left, func(h *tar.Header, r io.Reader) error {
			seen++
			require.True(t, h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeDir)
			require.True(t, fs.ValidPath(h.Name) && h.Name != ".", "%q", h.Name)
			_, err := io.Copy(io.Discard, r)
			return err
		})
		require.LessOrEqual(t, seen, 100)
	})
}
