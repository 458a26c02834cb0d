package image

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Manifest renders packages and files as the image has them in
// /usr/share/mero/manifest: one line each, fields parted by tabs, lines in the
// order of their bytes. Its digest is mero.content on the kernel command line, so
// that RTMR1 and RTMR2 follow what a record lists.
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
	return fmt.Sprintf("package\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Version, p.Architecture, p.Source, p.SourceVersion)
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
	case fields[0] == "package" && len(fields) == 6:
		r.Packages = append(r.Packages, Package{Name: fields[1], Version: fields[2], Architecture: fields[3],
			Source: fields[4], SourceVersion: fields[5]})
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
	Ansible  string            // the version of ansible-core that built it
	Boot     measuredboot.Boot // what the disk that it wrote will measure
	Manifest []byte
}

// ParseReport reads the text that the role seal writes: a line "ansible" with
// a version, a line "boot" with what mero-predict says of the disk, in JSON, and
// the manifest.
func ParseReport(data []byte) (*Report, error) {
	if len(data) > canonical.MaxSize {
		return nil, fmt.Errorf("a report of %d bytes, more than the %d allowed", len(data), canonical.MaxSize)
	}
	version, rest, _ := bytes.Cut(data, []byte("\n"))
	line, manifest, _ := bytes.Cut(rest, []byte("\n"))
	ansible, ok := strings.CutPrefix(string(version), "ansible ")
	if !ok {
		return nil, fmt.Errorf("the build's report begins with %.80q, not with the version of ansible", version)
	}
	predicted, ok := bytes.CutPrefix(line, []byte("boot "))
	if !ok {
		return nil, fmt.Errorf("the build's report goes on with %.80q, not with what the disk boots", line)
	}
	out := &Report{Ansible: ansible, Manifest: manifest}
	if err := canonical.Unmarshal(predicted, &out.Boot); err != nil {
		return nil, fmt.Errorf("what the build's report says of the boot: %w", err)
	}
	return out, nil
}

// Fill completes a record by what the machine reported. Check judges it.
func (r *Record) Fill(report *Report) error {
	packages, files, err := ParseManifest(report.Manifest)
	if err != nil {
		return err
	}
	r.SchemaVersion, r.Packages, r.Files = SchemaVersion, packages, files
	r.Content = digest.Of(report.Manifest)
	r.Boot, r.Tools.Ansible = report.Boot, report.Ansible
	r.sort()
	return nil
}
