package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// Unpack pulls the image that digest names and writes its files below dir,
// which must not exist yet. dir appears only when everything was read and
// verified. Owners are not restored. The image's configuration says what to run.
func Unpack(ctx context.Context, digest name.Digest, dir string, r Remote) (v1.Config, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var config *v1.ConfigFile
	err := r.read(ctx, digest, func(image v1.Image) (err error) {
		if config, err = image.ConfigFile(); err != nil {
			return err
		}
		if config.OS != platform.OS || config.Architecture != platform.Architecture {
			return fmt.Errorf("image for %s/%s, not %s", config.OS, config.Architecture, platform)
		}
		return unpack(image, dir)
	})
	if err != nil {
		return v1.Config{}, err
	}
	return config.Config, nil
}

// unpack fills a folder beside dir and renames it. Rename refuses a dir that
// exists and is not empty.
func unpack(image v1.Image, dir string) (err error) {
	partial, err := os.MkdirTemp(path.Dir(dir), ".unpack-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if err := fill(image, partial); err != nil {
		return err
	}
	if err := os.Chmod(partial, 0o755); err != nil {
		return err
	}
	return os.Rename(partial, dir)
}

func fill(image v1.Image, dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return walk(image, func(h *tar.Header, r io.Reader) error {
		mode := h.FileInfo().Mode().Perm()
		if h.Typeflag == tar.TypeDir {
			return Folder(root, h.Name)
		}
		if err := Folder(root, path.Dir(h.Name)); err != nil {
			return err
		}
		return write(root, h.Name, mode, r)
	})
}

// Folder makes name and its parents below root, each with mode 0755 whatever
// the umask: the image's user is not the one who unpacks.
func Folder(root *os.Root, name string) error {
	if err := root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	for ; name != "." && name != "/"; name = path.Dir(name) {
		if err := root.Chmod(name, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func write(root *os.Root, name string, mode fs.FileMode, r io.Reader) (err error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Chmod(mode)
}

// Layout writes image as an OCI image layout into dir, for tools that read
// images from disk.
func Layout(image v1.Image, dir string) error {
	target, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return target.AppendImage(image, layout.WithPlatform(platform))
}

// Bounds of an image from a registry: one static binary and one small file.
const (
	maxFiles = 1000
	maxBytes = 512 << 20
)

// visit sees one regular file or folder of a layer; r is only valid during the call.
type visit func(h *tar.Header, r io.Reader) error

// walk visits the files of all layers, lowest layer first. It refuses paths
// that leave the image, links, devices and whiteouts, and reads each layer to
// its end, so that its digest is verified.
func walk(image v1.Image, see visit) error {
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	left := wholeImage()
	for _, layer := range layers {
		if err := walkLayer(layer, left, see); err != nil {
			return err
		}
	}
	return nil
}

// budget is what may still be read of an image.
type budget struct {
	files int
	bytes int64
}

func wholeImage() *budget { return &budget{files: maxFiles, bytes: maxBytes} }

// spend takes a file of a size, and as many folders.
func (b *budget) spend(size int64, folders int) error {
	b.files -= 1 + folders
	b.bytes -= size
	if b.files < 0 || b.bytes < 0 {
		return fmt.Errorf("image holds more than %d files or %d bytes", maxFiles, maxBytes)
	}
	return nil
}

func walkLayer(layer v1.Layer, b *budget, see visit) (err error) {
	stream, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	limited := io.LimitReader(stream, maxBytes+(1<<20)) // files, headers and padding
	archive := tar.NewReader(limited)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, limited)
			return err
		}
		if err != nil {
			return err
		}
		if err := admit(h); err != nil {
			return err
		}
		if err := b.spend(h.Size, 0); err != nil {
			return err
		}
		if err := see(h, archive); err != nil {
			return err
		}
	}
}

// admit normalises name and mode and refuses everything but plain files and folders.
func admit(h *tar.Header) error {
	h.Name, h.Mode = strings.TrimSuffix(h.Name, "/"), h.Mode&0o7777
	switch {
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir:
		return fmt.Errorf("layer entry %.200q is neither a file nor a folder", h.Name)
	case !fs.ValidPath(h.Name) || h.Name == ".":
		return fmt.Errorf("layer entry %.200q leaves the image", h.Name)
	case strings.HasPrefix(path.Base(h.Name), ".wh."):
		return fmt.Errorf("layer entry %.200q is a whiteout", h.Name)
	}
	return nil
}
