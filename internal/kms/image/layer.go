package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fileLayer is a layer of one file and the folders above it, all root's.
type fileLayer struct {
	context, source string // source is relative to context
	target          string // without the leading slash
	mode            int64
	epoch           time.Time
}

// layer streams the tar from the file each time it is read; only the
// compressed form is kept in memory, once.
func (f fileLayer) layer() (v1.Layer, error) {
	file, err := f.open()
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(f.tar, tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
}

// open refuses a path that leaves the context, through dots or symbolic links.
func (f fileLayer) open() (*os.File, error) {
	root, err := os.OpenRoot(f.context)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // read-only handle
	file, err := root.Open(f.source)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", f.source)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func (f fileLayer) tar() (io.ReadCloser, error) {
	file, err := f.open()
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	head, err := f.headers(info.Size())
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	// A tar ends each file at a multiple of 512 bytes and itself with two blocks of zeros.
	tail := make([]byte, (-info.Size()&511)+1024)
	body := io.MultiReader(head, io.LimitReader(file, info.Size()), bytes.NewReader(tail))
	return struct {
		io.Reader
		io.Closer
	}{body, file}, nil
}

func (f fileLayer) headers(size int64) (io.Reader, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, folder := range parents(f.target) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755,
			ModTime: f.epoch, Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
	}
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.target, Size: size, Mode: f.mode,
		ModTime: f.epoch, Format: tar.FormatUSTAR})
	return &b, err
}

// parents lists the folders above target, outermost first.
func parents(target string) []string {
	var out []string
	dir := path.Dir(target)
	for i, r := range dir + "/" {
		if r == '/' && dir != "." {
			out = append(out, dir[:i])
		}
	}
	return out
}
