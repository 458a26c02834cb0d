package kmsrelease

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/checksum"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// assetFiles is a step's Outputs: the digests of the named assets.
func (r *Release) assetFiles(names ...string) func(context.Context) (pipeline.Digests, error) {
	return func(context.Context) (pipeline.Digests, error) { return fileDigests(r.assets(), names) }
}

// workFiles is a step's Outputs: the digests of the named files of work/.
func (r *Release) workFiles(names ...string) func(context.Context) (pipeline.Digests, error) {
	return func(context.Context) (pipeline.Digests, error) { return fileDigests(r.work(), names) }
}

func fileDigests(dir string, names []string) (pipeline.Digests, error) {
	out := pipeline.Digests{}
	for _, name := range names {
		d, err := fileDigest(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		out[name] = d
	}
	return out, nil
}

// fileDigest is "sha256:…", or "absent" for a file that is not there.
func fileDigest(path string) (string, error) {
	d, _, err := checksum.Digest(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent", nil
	}
	return "sha256:" + hex.EncodeToString(d[:]), err
}

// sourceDigest digests what the key service's image is built from: the module
// files, the image's own folder and every Go file below the packages it may import.
func sourceDigest(root string) (string, error) {
	h := sha256.New()
	for _, place := range []string{"go.mod", "go.sum", "docker/mero-kms", "internal", "policies"} {
		err := filepath.WalkDir(filepath.Join(root, place), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !isSource(place, path, e) {
				return err
			}
			return addFile(h, root, path)
		})
		if err != nil {
			return "", err
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func isSource(place, path string, e fs.DirEntry) bool {
	if e.IsDir() || strings.Contains(filepath.ToSlash(path), "/testdata/") || strings.HasSuffix(path, "_test.go") {
		return false
	}
	return place == "docker/mero-kms" || !strings.Contains(place, "/") && (filepath.Ext(path) == ".go" || filepath.Base(path) == place)
}

func addFile(w io.Writer, root, path string) error {
	name, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s %d\n%s", filepath.ToSlash(name), len(data), data)
	return err
}

// dirDigest digests the regular files directly in dir, by name.
func dirDigest(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent", nil
	}
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, e := range entries {
		if e.Type().IsRegular() {
			if err := addFile(h, dir, filepath.Join(dir, e.Name())); err != nil {
				return "", err
			}
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
