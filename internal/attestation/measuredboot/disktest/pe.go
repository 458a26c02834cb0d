package disktest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
)

// Section is a section of an image.
type Section struct {
	Name    string
	Content []byte
}

// ccProtocol is the GUID of EFI_CC_MEASUREMENT_PROTOCOL as it lies in memory, in halves.
const ccProtocol = "3d1a7596f472a641" + "a794ed5d0e67ae6b"

// Stub are the sections of a stub: what it measures with is all that is true of it.
func Stub() []Section {
	guid, err := hex.DecodeString(ccProtocol)
	if err != nil {
		panic(err)
	}
	code := bytes.Join([][]byte{{0x48, 0xb8}, guid[:8], {0x48, 0xba}, guid[8:], {0xc3}}, nil)
	return []Section{{".text", code}, {".data", []byte{1}}, {".sbat", []byte("sbat,1,SBAT Version,sbat,1\n")},
		{".sdmagic", []byte("#### LoaderInfo: systemd-stub 259.9-0ubuntu0.1 ####")}, {".reloc", []byte{0}}}
}

// Of the image: alignments in the file and in memory, and where its headers are.
const (
	FileAlign    = 512
	MemoryAlign  = 4096
	PEHeader     = 128 // the signature PE
	Optional     = PEHeader + 24
	SectionTable = Optional + 240
)

// UKI is a PE32+ image of these sections, one behind the other.
func UKI(sections ...Section) []byte {
	headers := align(SectionTable+40*len(sections), FileAlign)
	b := make([]byte, headers)
	copy(b, "MZ")
	put16, put32 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32
	put32(b[60:], PEHeader)
	copy(b[PEHeader:], "PE\x00\x00")
	put16(b[PEHeader+4:], 0x8664)
	put16(b[PEHeader+6:], uint16(len(sections))) //nolint:gosec // a test's disk is small
	put16(b[PEHeader+20:], 240)
	put16(b[Optional:], 0x20b)
	put32(b[Optional+32:], MemoryAlign)
	put32(b[Optional+36:], FileAlign)
	put32(b[Optional+60:], uint32(headers)) //nolint:gosec // a test's disk is small
	put16(b[Optional+68:], 10)
	put32(b[Optional+108:], 16)
	address := MemoryAlign
	for i, s := range sections {
		h := b[SectionTable+40*i:]
		size := align(len(s.Content), FileAlign)
		copy(h, s.Name)
		put32(h[8:], uint32(len(s.Content))) //nolint:gosec // a test's disk is small
		put32(h[12:], uint32(address))
		put32(h[16:], uint32(size))   //nolint:gosec // a test's disk is small
		put32(h[20:], uint32(len(b))) //nolint:gosec // a test's disk is small
		address += align(len(s.Content), MemoryAlign)
		b = append(b, s.Content...)
		b = append(b, make([]byte, size-len(s.Content))...)
	}
	put32(b[Optional+56:], uint32(address))
	return b
}

func align(n, to int) int { return (n + to - 1) / to * to }
