package packer

import (
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// place puts a plugin where Packer looks for it, its checksum beside it, in
// the layout that `packer init` would make.
func (p *Packer) place(program, source, version string) error {
	path := filepath.Join(p.plugins, filepath.FromSlash(source), pluginFile(source, version))
	sum, _, err := digest.OfFile(program)
	if err != nil {
		return err
	}
	if installed, _, err := digest.OfFile(path); err != nil || installed != sum {
		if err := file.Copy(path, program, 0o755); err != nil {
			return err
		}
	}
	return file.Write(path+"_SHA256SUM", []byte(sum.Hex()), 0o644)
}
