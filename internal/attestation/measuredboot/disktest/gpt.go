package disktest

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"unicode/utf16"
)

// Partition is a partition of a table.
type Partition struct {
	Name, Type, ID string
	Content        []byte
}

// Types of the partitions.
const (
	TypeESP        = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	TypeRoot       = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	TypeRootVerity = "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"
)

// Assemble makes a disk of its three partitions' contents.
func Assemble(esp, root, tree []byte) Image {
	return Partitioned(
		Partition{"esp", TypeESP, ESP, esp},
		Partition{"root", TypeRoot, Root, root},
		Partition{"root-verity", TypeRootVerity, RootVerity, tree})
}

// Partitioned makes a disk of partitions that lie one behind the other, in whole MiB.
func Partitioned(partitions ...Partition) Image {
	size := 2 * mebibyte
	for _, p := range partitions {
		size += align(len(p.Content), mebibyte)
	}
	d := make(Image, size)
	at := mebibyte
	for i, p := range partitions {
		e := d[2*sector+i*128:]
		copy(e, GUID(p.Type))
		copy(e[16:], GUID(p.ID))
		end := at + align(len(p.Content), mebibyte)
		binary.LittleEndian.PutUint64(e[32:], uint64(at/sector))
		binary.LittleEndian.PutUint64(e[40:], uint64(end/sector)-1) //nolint:gosec // a test's disk is small
		for j, u := range utf16.Encode([]rune(p.Name)) {
			binary.LittleEndian.PutUint16(e[56+2*j:], u)
		}
		copy(d[at:], p.Content)
		at = end
	}
	copy(d[446:], []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	binary.LittleEndian.PutUint32(d[458:], uint32(size/sector-1))
	d[510], d[511] = 0x55, 0xaa
	last := uint64(size/sector) - 1
	header(d[sector:], 1, last, 2)
	header(d[last*sector:], last, 1, last-32)
	d.Seal()
	return d
}

func header(b []byte, at, other, entries uint64) {
	copy(b, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
	for i, n := range []uint64{at, other, 34, max(at, other) - 33} {
		binary.LittleEndian.PutUint64(b[24+8*i:], n)
	}
	copy(b[56:], GUID(Disk))
	binary.LittleEndian.PutUint64(b[72:], entries)
	binary.LittleEndian.PutUint32(b[80:], 128)
	binary.LittleEndian.PutUint32(b[84:], 128)
}

// Seal copies the table's entries to the disk's end and makes its checksums
// right, after a test has changed the entries or a header.
func (d Image) Seal() {
	last := len(d)/sector - 1
	entries := d[2*sector : 34*sector]
	copy(d[(last-32)*sector:], entries)
	for _, at := range []int{1, last} {
		h := d[at*sector:][:92]
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
		clear(h[16:20])
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h))
	}
}

// GUID is a GUID as firmware writes it.
func GUID(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil {
		panic(err)
	}
	for _, n := range [][]byte{b[:4], b[4:6], b[6:8]} {
		for i, j := 0, len(n)-1; i < j; i, j = i+1, j-1 {
			n[i], n[j] = n[j], n[i]
		}
	}
	return b
}
