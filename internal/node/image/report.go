package image

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Report is what the machine that was built says of itself at the end.
type Report struct {
	Ansible           string // the version of ansible-core that built it
	KernelCommandLine string
	Manifest          []byte
}

// ParseReport reads the text that the role seal writes: a line "ansible" with
// a version, a line "command-line" with the parameters, and the manifest.
func ParseReport(data []byte) (*Report, error) {
	version, rest, _ := bytes.Cut(data, []byte("\n"))
	line, manifest, _ := bytes.Cut(rest, []byte("\n"))
	ansible, ok := strings.CutPrefix(string(version), "ansible ")
	if !ok {
		return nil, fmt.Errorf("the build's report begins with %.80q, not with the version of ansible", version)
	}
	parameters, ok := strings.CutPrefix(string(line), "command-line ")
	if !ok {
		return nil, fmt.Errorf("the build's report goes on with %.80q, not with the kernel command line", line)
	}
	return &Report{Ansible: ansible, KernelCommandLine: strings.TrimSpace(parameters), Manifest: manifest}, nil
}

// Fill completes a record by what the machine reported.
func (r *Record) Fill(report *Report) error {
	packages, files, err := ParseManifest(report.Manifest)
	if err != nil {
		return err
	}
	r.SchemaVersion, r.Packages, r.Files = SchemaVersion, packages, files
	r.Content = digest.Of(report.Manifest)
	r.KernelCommandLine, r.Tools.Ansible = report.KernelCommandLine, report.Ansible
	r.sort()
	return r.fillRootHash()
}

func (r *Record) fillRootHash() error {
	for _, parameter := range strings.Fields(r.KernelCommandLine) {
		digits, ok := strings.CutPrefix(parameter, "mero.roothash=")
		if !ok {
			continue
		}
		hash, err := hex.DecodeString(digits)
		if err != nil || len(hash) != len(r.RootHash) {
			return fmt.Errorf("the root hash %.80q is not 64 hex digits", digits)
		}
		r.RootHash = digest.Digest(hash)
	}
	return nil
}
