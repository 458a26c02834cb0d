package packer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/atomicfile"
)

// place puts a plugin where Packer looks for it, its checksum beside it, in
// the layout that `packer init` would make.
func (p *Packer) place(program, source, version string) error {
	path := filepath.Join(p.plugins, filepath.FromSlash(source), pluginFile(source, version))
	sum, err := digestFile(program)
	if err != nil {
		return err
	}
	if installed, err := digestFile(path); err != nil || !bytes.Equal(installed, sum) {
		if err := copyFile(program, path, 0o755); err != nil {
			return err
		}
	}
	return atomicfile.Write(path+"_SHA256SUM", []byte(hex.EncodeToString(sum)), 0o644)
}

func digestFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

func copyFile(from, to string, mode os.FileMode) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	return atomicfile.Stream(to, mode, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
