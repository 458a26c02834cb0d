package measuredboot

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// stubVersion is the systemd-stub whose measurements are known. Another one
// measures other things: 255 nothing into RTMR2, 257 the kernel into RTMR1 too.
var stubVersion = regexp.MustCompile(`^#### LoaderInfo: systemd-stub 259(\.[0-9]+)?(-[0-9a-z.~+]+)? ####\x00*$`)

// Sections of a unified kernel image: those of the stub itself, which Authenticode
// alone covers, and those that the stub measures, in the order in which it does.
// Source: systemd 259, uki.c.
func stubSections() []string { return []string{".text", ".rodata", ".data", ".sdmagic", ".reloc"} }

func measuredSections() []string {
	return []string{".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat"}
}

// optional says that an image may be without this section.
func optional(name string) bool { return name == ".uname" || name == ".rodata" || name == ".reloc" }

// What bounds the sections that are read whole, in bytes.
const maxText = 1 << 16

// openUKI reads an image and refuses what is not a stub with exactly our sections.
func openUKI(file *io.SectionReader) (*program, error) {
	p, err := openProgram(file)
	if err != nil {
		return nil, err
	}
	known := append(stubSections(), measuredSections()...)
	seen := map[string]bool{}
	for _, s := range p.sections {
		if !slices.Contains(known, s.name) {
			return nil, fault.Mismatch("BOOTX64.EFI has a section that is not ours", strings.Join(known, ", "),
				fmt.Sprintf("%q", s.name))
		}
		if seen[s.name] {
			return nil, refusal("BOOTX64.EFI has section %s twice", s.name)
		}
		seen[s.name] = true
	}
	for _, name := range known {
		if !seen[name] && !optional(name) {
			return nil, refusal("BOOTX64.EFI has no section %s", name)
		}
	}
	magic, err := p.text(".sdmagic")
	if err != nil {
		return nil, err
	}
	if !stubVersion.Match(magic) {
		return nil, fault.Mismatch("what the stub of BOOTX64.EFI measures is not known", "systemd-stub 259",
			fmt.Sprintf("%.60q", magic))
	}
	return p, p.checkProtocol()
}

// text is a small section, whole.
func (p *program) text(name string) ([]byte, error) {
	s, _ := p.section(name)
	if s.occupied > maxText {
		return nil, fault.Mismatch("section "+name+" of BOOTX64.EFI is large", fmt.Sprintf("up to %d bytes", maxText),
			fmt.Sprint(s.occupied))
	}
	b := make([]byte, s.occupied)
	return b, readAt(p.file, b, s.at, "section "+name+" of BOOTX64.EFI")
}

// Of the stub's code: no more is searched, and the two halves of a GUID that a
// compiler makes immediates of stand this close.
const (
	maxCode   = 1 << 20
	halvesGap = 64
)

// checkProtocol demands that the stub knows EFI_CC_MEASUREMENT_PROTOCOL, without
// which it measures into a TPM alone: its GUID is there as data, or as two
// numbers in the code.
func (p *program) checkProtocol() error {
	g, err := parseGUID("96751a3d-72f4-41a6-a794-ed5d0e67ae6b")
	if err != nil {
		return err
	}
	for _, name := range []string{".text", ".rodata", ".data"} {
		s, ok := p.section(name)
		if !ok {
			continue
		}
		b := make([]byte, min(s.occupied, maxCode))
		if err := readAt(p.file, b, s.at, "section "+name+" of BOOTX64.EFI"); err != nil {
			return err
		}
		if bytes.Contains(b, g[:]) || name == ".text" && hasHalves(b, g) {
			return nil
		}
	}
	return refusal("the stub of BOOTX64.EFI does not measure by the protocol of confidential computing, %s", g)
}

func hasHalves(code []byte, g guid) bool {
	for {
		i := bytes.Index(code, g[:8])
		if i < 0 {
			return false
		}
		code = code[i+8:]
		if bytes.Contains(code[:min(len(code), halvesGap)], g[8:]) {
			return true
		}
	}
}

// archive is what the stub appends to the initrd: a cpio archive of the section
// .osrel. Source: systemd 259, cpio.c.
func archive(osrel []byte) []byte {
	b := &bytes.Buffer{}
	pad := func() { b.Write(make([]byte, -b.Len()&3)) }
	member := func(inode, mode int, name string, content []byte) {
		b.WriteString("070701")
		for _, n := range []int{inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0} {
			fmt.Fprintf(b, "%08x", n)
		}
		b.WriteString(name + "\x00")
		pad()
		b.Write(content)
		pad()
	}
	member(1, 0o040555, ".extra", nil)
	member(2, 0o100444, ".extra/os-release", osrel)
	b.WriteString("070701" + strings.Repeat("0", 32) + "00000001" + strings.Repeat("0", 48) +
		"0000000B00000000TRAILER!!!\x00\x00\x00\x00")
	return b.Bytes()
}
