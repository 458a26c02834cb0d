package gobuild

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// key names a build: the same key means the same program.
func (s Spec) key(c compiler) (string, error) {
	h := sha256.New()
	arguments := s.arguments()
	arguments[2] = "" // where the module lies does not change what is built
	fmt.Fprintf(h, "%q %q %q %q %q %q\n", c.version, c.os, c.arch, arguments, s.Package, s.Env)
	found := false
	err := filepath.WalkDir(s.Module, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != s.Module && skipped(d) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		found = found || path == filepath.Join(s.Module, "go.mod")
		return hashFile(h, s.Module, path)
	})
	if err != nil {
		return "", err
	}
	if !found {
		return "", fmt.Errorf("%s is not the root of a Go module", s.Module)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// skipped are files that no build reads.
func skipped(d fs.DirEntry) bool {
	return strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") ||
		strings.HasSuffix(d.Name(), "_test.go") || d.Name() == "testdata"
}

func hashFile(h io.Writer, root, path string) error {
	name, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	sum, _, err := digest.OfFile(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(h, "%s %q\n", sum.Hex(), filepath.ToSlash(name))
	return err
}
