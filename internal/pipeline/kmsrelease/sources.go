package kmsrelease

import (
	"crypto/sha256"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
)

// sourceDigest digests what the key service's image is built from: the module
// files, the image's own folder and every Go file below the packages it may import.
func sourceDigest(root string) (string, error) {
	h := sha256.New()
	for _, place := range []string{"go.mod", "go.sum", "docker/mero-kms", "internal", "policies"} {
		err := filepath.WalkDir(filepath.Join(root, place), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !isSource(place, path, e) {
				return err
			}
			return steps.AddFile(h, root, path)
		})
		if err != nil {
			return "", err
		}
	}
	return digest.Digest(h.Sum(nil)).String(), nil
}

func isSource(place, path string, e fs.DirEntry) bool {
	if e.IsDir() || strings.Contains(filepath.ToSlash(path), "/testdata/") || strings.HasSuffix(path, "_test.go") {
		return false
	}
	return place == "docker/mero-kms" || !strings.Contains(place, "/") && (filepath.Ext(path) == ".go" || filepath.Base(path) == place)
}
