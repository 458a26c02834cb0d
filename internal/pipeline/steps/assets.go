package steps

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// WriteAsset stages an asset, whole or not at all.
func (r *Release) WriteAsset(name string, data []byte) error {
	return file.Write(filepath.Join(r.Assets(), name), data, 0o644)
}

// EncodeAsset stages an asset in the form that it has of its own.
func (r *Release) EncodeAsset(name string, v interface{ Encode() ([]byte, error) }) error {
	data, err := v.Encode()
	if err != nil {
		return err
	}
	return r.WriteAsset(name, data)
}

// ReadAsset reads a staged asset.
func (r *Release) ReadAsset(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(r.Assets(), filepath.Base(name)))
}

// Print copies a staged asset to w.
func (r *Release) Print(w io.Writer, asset string) error {
	data, err := r.ReadAsset(asset)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// ReadJSON reads one of our own records strictly.
func ReadJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := canonical.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}

// WriteJSON writes a record so that it is there whole or not at all.
func WriteJSON(path string, v any) error {
	data, err := canonical.Marshal(v)
	if err != nil {
		return err
	}
	return file.Write(path, data, 0o644)
}

// AssetFiles is a step's Outputs: the digests of the named assets.
func (r *Release) AssetFiles(names ...string) func(context.Context) (pipeline.Digests, error) {
	return func(context.Context) (pipeline.Digests, error) { return fileDigests(r.Assets(), names) }
}

// WorkFiles is a step's Outputs: the digests of the named files of work/.
func (r *Release) WorkFiles(names ...string) func(context.Context) (pipeline.Digests, error) {
	return func(context.Context) (pipeline.Digests, error) { return fileDigests(r.Work(), names) }
}

func fileDigests(dir string, names []string) (pipeline.Digests, error) {
	out := pipeline.Digests{}
	for _, name := range names {
		d, err := FileDigest(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		out[name] = d
	}
	return out, nil
}

// FileDigest is "sha256:…", or "absent" for a file that is not there.
func FileDigest(path string) (string, error) {
	d, _, err := digest.OfFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent", nil
	}
	return d.String(), err
}

// TreeDigest digests the regular files below places of root that take accepts, by
// their paths below root, their sizes and their bytes; "absent" without a place.
func TreeDigest(root string, take func(name string) bool, places ...string) (string, error) {
	h := sha256.New()
	for _, place := range places {
		err := filepath.WalkDir(filepath.Join(root, place), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			name, err := filepath.Rel(root, path)
			if name = filepath.ToSlash(name); err != nil || !take(name) {
				return err
			}
			data, err := os.ReadFile(path)
			_, _ = fmt.Fprintf(h, "%s %d\n%s", name, len(data), data)
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			return "absent", nil
		}
		if err != nil {
			return "", err
		}
	}
	return digest.Digest(h.Sum(nil)).String(), nil
}

// DirDigest digests the regular files directly in dir, by name.
func DirDigest(dir string) (string, error) {
	return TreeDigest(dir, func(name string) bool { return !strings.Contains(name, "/") }, ".")
}
