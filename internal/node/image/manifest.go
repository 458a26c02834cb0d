package image

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Manifest renders packages and files as the image has them in
// /usr/share/mero/manifest: one line each, fields parted by tabs, lines in the
// order of their bytes. Its digest is mero.content on the kernel command line, so
// that RTMR2 follows what is in the image also where the root is not verified.
func (r *Record) Manifest() []byte {
	lines := make([]string, 0, len(r.Packages)+len(r.Files))
	for _, p := range r.Packages {
		lines = append(lines, p.line())
	}
	for _, f := range r.Files {
		lines = append(lines, f.line())
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

func (p Package) line() string {
	return fmt.Sprintf("package\t%s\t%s\t%s\n", p.Name, p.Version, p.Architecture)
}

func (f File) line() string {
	if f.Target != "" {
		return fmt.Sprintf("link\t%s\t%s\n", f.Path, f.Target)
	}
	return fmt.Sprintf("file\t%s\t%s\t%s\t%x\n", f.Path, f.Mode, f.Owner, f.SHA256[:])
}

// ParseManifest reads an image's manifest. Bytes that Manifest would not write are refused.
func ParseManifest(data []byte) ([]Package, []File, error) {
	if len(data) > canonical.MaxSize {
		return nil, nil, fmt.Errorf("a manifest of %d bytes, more than the %d allowed", len(data), canonical.MaxSize)
	}
	var r Record
	for line := range bytes.Lines(data) {
		if err := r.parseLine(string(line)); err != nil {
			return nil, nil, err
		}
	}
	r.sort()
	if !bytes.Equal(r.Manifest(), data) {
		return nil, nil, fmt.Errorf("the manifest is not sorted, or not in the form that is written")
	}
	return r.Packages, r.Files, nil
}

func (r *Record) parseLine(line string) error {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	switch {
	case fields[0] == "package" && len(fields) == 4:
		r.Packages = append(r.Packages, Package{Name: fields[1], Version: fields[2], Architecture: fields[3]})
	case fields[0] == "link" && len(fields) == 3 && fields[2] != "":
		r.Files = append(r.Files, File{Path: fields[1], Target: fields[2]})
	case fields[0] == "file" && len(fields) == 5:
		sum, err := digest.Parse("sha256:" + fields[4])
		if err != nil {
			return err
		}
		r.Files = append(r.Files, File{Path: fields[1], Mode: fields[2], Owner: fields[3], SHA256: sum})
	default:
		return fmt.Errorf("manifest line %.200q is neither a package, a file nor a link", line)
	}
	return nil
}

// sort brings lists into the order in which a record has them.
func (r *Record) sort() {
	slices.SortFunc(r.Packages, comparePackages)
	slices.SortFunc(r.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(r.Binaries, func(a, b Binary) int { return strings.Compare(a.Name, b.Name) })
}

func comparePackages(a, b Package) int {
	return strings.Compare(a.Name+"\x00"+a.Architecture, b.Name+"\x00"+b.Architecture)
}

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
