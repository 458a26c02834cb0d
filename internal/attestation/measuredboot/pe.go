package measuredboot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Of a PE32+ image. Source: Microsoft's PE and COFF specification.
const (
	peHeader      = 24  // signature and COFF header
	optionalSize  = 240 // with its sixteen directories
	sectionHeader = 40
	maxSections   = 32
	maxHeaders    = 1 << 16
	checksumAt    = 64  // in the optional header
	certificateAt = 144 // the entry of the certificate table there
	directories   = 16
	machineAMD64  = 0x8664
	pe32Plus      = 0x20b
	efiProgram    = 10 // subsystem
)

// section is a section of an image.
type section struct {
	name              string
	at, size          int64 // in the file
	address, occupied int64 // in memory: occupied bytes are what a stub measures
}

// program is a PE image: its sections lie in the file one behind the other, and
// nothing is behind the last but a certificate table.
type program struct {
	file      *io.SectionReader
	checksum  int64 // where the checksum is
	directory int64 // where the certificate table's entry is
	end       int64 // where the sections end, and a certificate table begins
	sections  []section
}

func openProgram(file *io.SectionReader) (*program, error) {
	head := make([]byte, min(maxHeaders, file.Size()))
	if err := readAt(file, head, 0, "BOOTX64.EFI"); err != nil {
		return nil, err
	}
	if len(head) < 64 || string(head[:2]) != "MZ" {
		return nil, refusal("BOOTX64.EFI is not a PE image")
	}
	pe := int64(binary.LittleEndian.Uint32(head[60:]))
	if pe < 64 || pe+peHeader+optionalSize > int64(len(head)) || !bytes.HasPrefix(head[pe:], []byte("PE\x00\x00")) {
		return nil, refusal("BOOTX64.EFI is not a PE image: its header is not where it says")
	}
	optional := head[pe+peHeader:]
	if err := checkHeader(head[pe:], optional); err != nil {
		return nil, err
	}
	p := &program{file: file, checksum: pe + peHeader + checksumAt, directory: pe + peHeader + certificateAt}
	count := int64(binary.LittleEndian.Uint16(head[pe+6:]))
	headers := int64(binary.LittleEndian.Uint32(optional[60:]))
	if err := p.readSections(head, pe+peHeader+optionalSize, count, headers); err != nil {
		return nil, err
	}
	final := p.sections[count-1]
	if image := int64(binary.LittleEndian.Uint32(optional[56:])); final.address+final.occupied > image {
		return nil, fault.Mismatch("BOOTX64.EFI has a section behind its end in memory", fmt.Sprintf("up to %#x", image),
			fmt.Sprintf("%#x", final.address+final.occupied))
	}
	return p, p.checkCertificates(optional[certificateAt:])
}

func checkHeader(pe, optional []byte) error {
	u16 := func(b []byte, at int) int { return int(binary.LittleEndian.Uint16(b[at:])) }
	for _, n := range []struct {
		what      string
		want, got int
	}{
		{"machine", machineAMD64, u16(pe, 4)}, {"size of its optional header", optionalSize, u16(pe, 20)},
		{"format", pe32Plus, u16(optional, 0)}, {"subsystem", efiProgram, u16(optional, 68)},
		{"number of directories", directories, int(binary.LittleEndian.Uint32(optional[108:]))},
		{"symbol table", 0, int(binary.LittleEndian.Uint32(pe[12:]))},
	} {
		if n.want != n.got {
			return fault.Mismatch("BOOTX64.EFI is not an EFI program for this processor: "+n.what, fmt.Sprintf("%#x", n.want),
				fmt.Sprintf("%#x", n.got))
		}
	}
	return nil
}

// readSections demands that the sections lie one behind the other, so that what
// Authenticode digests is the file but for three holes.
func (p *program) readSections(head []byte, table, count, headers int64) error {
	if count == 0 || count > maxSections {
		return fault.Mismatch("BOOTX64.EFI has not the sections of a kernel image", fmt.Sprintf("1 to %d", maxSections),
			fmt.Sprint(count))
	}
	if table+count*sectionHeader > headers || headers > int64(len(head)) {
		return refusal("BOOTX64.EFI says that its headers have %d bytes, which is not so", headers)
	}
	p.end = headers
	memory := headers
	for i := range count {
		h := head[table+i*sectionHeader:]
		u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(h[at:])) }
		s := section{name: strings.TrimRight(string(h[:8]), "\x00"), occupied: u32(8), address: u32(12),
			size: u32(16), at: u32(20)}
		switch {
		case s.occupied == 0 || s.occupied > s.size:
			return fault.Mismatch(fmt.Sprintf("section %q of BOOTX64.EFI is not wholly in the file", s.name),
				fmt.Sprintf("1 to %d bytes", s.size), fmt.Sprint(s.occupied))
		case s.address < memory:
			return fault.Mismatch(fmt.Sprintf("section %q of BOOTX64.EFI overlaps another one in memory", s.name),
				fmt.Sprintf("address %#x or later", memory), fmt.Sprintf("%#x", s.address))
		case s.at < p.end:
			return fault.Mismatch(fmt.Sprintf("section %q of BOOTX64.EFI overlaps another one in the file", s.name),
				fmt.Sprint(p.end), fmt.Sprint(s.at))
		case s.at != p.end:
			return fault.Mismatch(fmt.Sprintf("there are bytes of no section before section %q of BOOTX64.EFI", s.name),
				fmt.Sprint(p.end), fmt.Sprint(s.at))
		case s.at+s.size > p.file.Size():
			return fault.Mismatch(fmt.Sprintf("section %q leaves BOOTX64.EFI", s.name),
				fmt.Sprintf("up to %d", p.file.Size()), fmt.Sprint(s.at+s.size))
		case u32(24) != 0 || u32(32) != 0:
			return refusal("section %q of BOOTX64.EFI has relocations of its own", s.name)
		}
		memory, p.end = s.address+s.occupied, s.at+s.size
		p.sections = append(p.sections, s)
	}
	return nil
}

// checkCertificates demands that behind the sections is a table of certificates,
// whole, or nothing. Firmware does not measure that table.
func (p *program) checkCertificates(directory []byte) error {
	at, size := int64(binary.LittleEndian.Uint32(directory)), int64(binary.LittleEndian.Uint32(directory[4:]))
	if at == 0 && size == 0 {
		if p.end != p.file.Size() {
			return fault.Mismatch("BOOTX64.EFI has bytes behind its last section", fmt.Sprint(p.end), fmt.Sprint(p.file.Size()))
		}
		return nil
	}
	if at != p.end || at%8 != 0 || size < 8 || at+size != p.file.Size() {
		return fault.Mismatch("the certificate table of BOOTX64.EFI lies", fmt.Sprintf("%d to the end, %d", p.end,
			p.file.Size()), fmt.Sprintf("%d to %d", at, at+size))
	}
	for at < p.file.Size() {
		var head [8]byte
		if err := readAt(p.file, head[:], at, "the certificate table of BOOTX64.EFI"); err != nil {
			return err
		}
		length := int64(binary.LittleEndian.Uint32(head[:]))
		if length < 8 || at+(length+7)/8*8 > p.file.Size() {
			return refusal("the certificate table of BOOTX64.EFI lies: a certificate of %d bytes", length)
		}
		at += (length + 7) / 8 * 8
	}
	return nil
}

// authenticode is what firmware measures of an image: the file without its
// checksum, its certificate table and that table's entry.
func (p *program) authenticode() []io.Reader {
	return []io.Reader{
		io.NewSectionReader(p.file, 0, p.checksum),
		io.NewSectionReader(p.file, p.checksum+4, p.directory-p.checksum-4),
		io.NewSectionReader(p.file, p.directory+8, p.end-p.directory-8),
	}
}

// section is the one of this name; openUKI has seen that there is one at most.
func (p *program) section(name string) (section, bool) {
	i := slices.IndexFunc(p.sections, func(s section) bool { return s.name == name })
	if i < 0 {
		return section{}, false
	}
	return p.sections[i], true
}

// content is what of a section is there in memory.
func (p *program) content(s section) *io.SectionReader {
	return io.NewSectionReader(p.file, s.at, s.occupied)
}
