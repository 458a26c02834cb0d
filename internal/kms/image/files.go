package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

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
	budget := &budget{files: maxFiles, bytes: maxBytes}
	for _, layer := range layers {
		if err := walkLayer(layer, budget, see); err != nil {
			return err
		}
	}
	return nil
}

type budget struct {
	files int
	bytes int64
}

func (b *budget) spend(size int64) error {
	b.files--
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
		if err := b.spend(h.Size); err != nil {
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
