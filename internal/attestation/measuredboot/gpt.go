package measuredboot

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Of a partition table with 512-byte sectors. Source: UEFI 2.10, 5.3.
const (
	sector       = 512
	headerSize   = 92
	entrySize    = 128
	entryCount   = 128
	tableSectors = entryCount * entrySize / sector
	mebibyte     = 1 << 20
	maxDisk      = 1 << 40 // bytes; Compute Engine's largest image is far below
)

// guid is in the mixed byte order in which firmware writes it.
type guid [16]byte

func parseGUID(text string) (guid, error) {
	var g guid
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != len(g) || len(text) != 36 {
		return g, fmt.Errorf("%.60q is not a GUID", text)
	}
	copy(g[:], b)
	return g.swapped(), nil
}

// swapped turns the three numbers of a GUID around.
func (g guid) swapped() guid {
	return guid{g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]}
}

func (g guid) String() string {
	s := g.swapped()
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:])
}

// kind is a partition that the disk has, in the disk's order.
type kind struct{ name, guid string }

// kinds are the partitions of a node's disk, no more and no fewer. Sources: UEFI
// 2.10, 5.3.3; the Discoverable Partitions Specification.
func kinds() [3]kind {
	return [3]kind{
		{"esp", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"},
		{"root", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"},
		{"root-verity", "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"},
	}
}

// partition is one used entry.
type partition struct {
	kind, id    guid
	first, last uint64 // sectors, both included
	attributes  uint64
	name        string
}

func (p partition) extent() Extent {
	first, last := int64(p.first), int64(p.last) //nolint:gosec // check has seen that they are on the disk
	return Extent{first * sector, (last + 1) * sector}
}

func (p partition) reader(disk io.ReaderAt) *io.SectionReader {
	e := p.extent()
	return io.NewSectionReader(disk, e.Start, e.End-e.Start)
}

// table is a partition table that is whole, twice there, and the one we make.
type table struct {
	partitions [3]partition
	measured   []byte // UEFI_GPT_DATA: the header, the number of used entries, the entries
}

func readTable(disk io.ReaderAt, size int64) (*table, error) {
	if size%sector != 0 || size < (2*tableSectors+3)*sector || size > maxDisk {
		return nil, fault.Mismatch("the disk's size is not that of a disk", fmt.Sprintf(
			"whole sectors of %d bytes, up to %d bytes", sector, int64(maxDisk)), fmt.Sprintf("%d bytes", size))
	}
	last := uint64(size/sector) - 1
	primary, entries, err := readHeader(disk, place{at: 1, other: last, entries: 2, last: last})
	if err != nil {
		return nil, err
	}
	if err := checkMBR(disk, last); err != nil {
		return nil, err
	}
	backup, copied, err := readHeader(disk, place{at: last, other: 1, entries: last - tableSectors, last: last})
	if err != nil {
		return nil, err
	}
	// What the two headers share: everything but their own places and checksums.
	if !bytes.Equal(primary[40:72], backup[40:72]) || !bytes.Equal(entries, copied) {
		return nil, refusal("the partition table at the disk's end is another one than that at its start")
	}
	t := &table{}
	used, err := t.read(entries, last)
	if err != nil {
		return nil, err
	}
	t.measured = append(binary.LittleEndian.AppendUint64(bytes.Clone(primary), uint64(len(t.partitions))), used...)
	return t, nil
}

// refusal is an error without anything to compare.
func refusal(format string, args ...any) error {
	return &fault.Error{Code: fault.Verification, Message: fmt.Sprintf(format, args...)}
}

// readAt fills b, or says what of the disk cannot be read.
func readAt(r io.ReaderAt, b []byte, at int64, what string) error {
	if n, err := r.ReadAt(b, at); n < len(b) {
		return &fault.Error{Code: fault.Verification, Message: "cannot read " + what, Err: err}
	}
	return nil
}

// checkMBR demands the protective MBR and nothing in it: firmware does not
// measure the first sector.
func checkMBR(disk io.ReaderAt, last uint64) error {
	b := make([]byte, sector)
	if err := readAt(disk, b, 0, "the protective MBR"); err != nil {
		return err
	}
	want := make([]byte, sector)
	copy(want[446:], []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	binary.LittleEndian.PutUint32(want[458:], uint32(min(last, 0xffffffff)))
	want[510], want[511] = 0x55, 0xaa
	copy(want[451:454], b[451:454]) // the end in cylinders: tools disagree, nobody reads it
	if !bytes.Equal(b, want) {
		return refusal("the first sector is not a protective MBR and nothing else")
	}
	return nil
}

// place is where a header is, and what it must say of that.
type place struct{ at, other, entries, last uint64 }

func readHeader(disk io.ReaderAt, p place) (header, entries []byte, err error) {
	b := make([]byte, sector)
	name := fmt.Sprintf("the partition table's header in sector %d", p.at)
	at := int64(p.at) * sector //nolint:gosec // sector 1, or the disk's last
	if err := readAt(disk, b, at, name); err != nil {
		return nil, nil, err
	}
	header, rest := b[:headerSize], b[headerSize:]
	if !bytes.HasPrefix(header, []byte("EFI PART\x00\x00\x01\x00")) {
		return nil, nil, fault.Mismatch(name+" is none", "EFI PART, revision 1.0", fmt.Sprintf("%q", header[:12]))
	}
	plain := bytes.Clone(header)
	clear(plain[16:20])
	if got, want := crc32.ChecksumIEEE(plain), binary.LittleEndian.Uint32(header[16:]); got != want {
		return nil, nil, fault.Mismatch(name+" is not of its checksum", hex32(want), hex32(got))
	}
	if err := checkNumbers(name, header, p); err != nil {
		return nil, nil, err
	}
	if !zero(rest) || guid(header[56:72]) == (guid{}) {
		return nil, nil, refusal("%s has something behind it, or the disk has no GUID", name)
	}
	entries = make([]byte, entryCount*entrySize)
	at = int64(p.entries) * sector //nolint:gosec // beside the header
	if err := readAt(disk, entries, at, "the partition table's entries"); err != nil {
		return nil, nil, err
	}
	if got, want := crc32.ChecksumIEEE(entries), binary.LittleEndian.Uint32(header[88:]); got != want {
		return nil, nil, fault.Mismatch(fmt.Sprintf("the entries in sector %d are not of the partition table's checksum",
			p.entries), hex32(want), hex32(got))
	}
	return header, entries, nil
}

func hex32(n uint32) string { return fmt.Sprintf("%08x", n) }

// checkNumbers compares what a header says of sizes and places.
func checkNumbers(name string, header []byte, p place) error {
	u32 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(header[at:])) }
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(header[at:]) }
	if p.at == 1 && u64(32) != p.last {
		return fault.Mismatch("the disk is cut or grown: its partition table ends elsewhere",
			fmt.Sprintf("%d sectors", u64(32)+1), fmt.Sprintf("%d sectors", p.last+1))
	}
	for _, n := range []struct {
		what      string
		want, got uint64
	}{
		{"size", headerSize, u32(12)}, {"reserved field", 0, u32(20)}, {"own sector", p.at, u64(24)},
		{"other header's sector", p.other, u64(32)}, {"sector of the entries", p.entries, u64(72)},
		{"number of entries", entryCount, u32(80)}, {"size of an entry", entrySize, u32(84)},
	} {
		if n.want != n.got {
			return fault.Mismatch(name+" is not ours: "+n.what, fmt.Sprint(n.want), fmt.Sprint(n.got))
		}
	}
	if first, last := u64(40), u64(48); first < 2+tableSectors || last > p.last-tableSectors-1 || first > last {
		return fault.Mismatch(name+" lets partitions lie outside of the disk",
			fmt.Sprintf("sectors %d to %d", 2+tableSectors, p.last-tableSectors-1), fmt.Sprintf("%d to %d", first, last))
	}
	return nil
}

func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// read takes the entries apart; used are those that firmware measures.
func (t *table) read(entries []byte, last uint64) (used []byte, err error) {
	n := 0
	for i := range entryCount {
		e := entries[i*entrySize:][:entrySize]
		if guid(e[:16]) == (guid{}) {
			if !zero(e) {
				return nil, refusal("entry %d of the partition table is unused, and not empty", i+1)
			}
			continue
		}
		if i != n {
			return nil, refusal("entry %d of the partition table is used behind an unused one", i+1)
		}
		p := readEntry(e)
		if n == len(t.partitions) {
			return nil, fault.Mismatch("the disk has a partition too many", fmt.Sprint(len(t.partitions)),
				fmt.Sprintf("partition %d, %q, type %s", n+1, p.name, p.kind))
		}
		t.partitions[n] = p
		used = append(used, e...)
		n++
	}
	if n < len(t.partitions) {
		return nil, fault.Mismatch("the disk has a partition too few", fmt.Sprint(len(t.partitions)), fmt.Sprint(n))
	}
	return used, t.check(last)
}

func readEntry(e []byte) partition {
	var name []uint16
	for i := 56; i < entrySize; i += 2 {
		if u := binary.LittleEndian.Uint16(e[i:]); u != 0 {
			name = append(name, u)
		}
	}
	return partition{kind: guid(e[:16]), id: guid(e[16:32]), first: binary.LittleEndian.Uint64(e[32:]),
		last: binary.LittleEndian.Uint64(e[40:]), attributes: binary.LittleEndian.Uint64(e[48:]),
		name: string(utf16.Decode(name))}
}

// check compares the partitions with those of our layout.
func (t *table) check(last uint64) error {
	free := uint64(2 + tableSectors)
	seen := map[guid]bool{{}: true}
	for i, k := range kinds() {
		p := t.partitions[i]
		what := fmt.Sprintf("partition %d", i+1)
		if p.kind.String() != k.guid || p.name != k.name {
			return fault.Mismatch(what+" is another one", k.name+", type "+k.guid, fmt.Sprintf("%q, type %s", p.name, p.kind))
		}
		if seen[p.id] {
			return refusal("%s, %s, has no GUID of its own: %s", what, k.name, p.id)
		}
		seen[p.id] = true
		if p.attributes != 0 {
			return fault.Mismatch(what+", "+k.name+", has attributes", "none", fmt.Sprintf("%#x", p.attributes))
		}
		if p.first > p.last || p.last > last-tableSectors-1 {
			return fault.Mismatch(what+", "+k.name+", leaves the disk", fmt.Sprintf("sectors up to %d", last-tableSectors-1),
				fmt.Sprintf("%d to %d", p.first, p.last))
		}
		if p.first < free {
			return fault.Mismatch(what+", "+k.name+", overlaps what is before it", fmt.Sprintf("sector %d or later", free),
				fmt.Sprint(p.first))
		}
		if p.first*sector%mebibyte != 0 {
			return fault.Mismatch(what+", "+k.name+", does not start at a whole MiB", "a multiple of 2048 sectors",
				fmt.Sprint(p.first))
		}
		free = p.last + 1
	}
	return nil
}
