package measuredboot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Of FAT32. Source: Microsoft's FAT32 File System Specification 1.03.
const (
	dirEntry       = 32
	clusterMask    = 0x0fffffff
	endOfChain     = 0x0ffffff8
	minClusters    = 65525 // fewer make it FAT16
	maxESP         = 1 << 30
	attrLongName   = 0x0f
	attrVolume     = 0x08
	attrDirectory  = 0x10
	attrArchive    = 0x20
	maxDirClusters = 16 // the directories have three entries at most
)

// fat is an EFI system partition.
type fat struct {
	volume   *io.SectionReader
	cluster  int64 // bytes of one
	data     int64 // where cluster 2 is
	table    []byte
	clusters uint32 // the first number that is not one
	root     uint32
	owned    []uint64 // a bit for each cluster that a file or folder has
}

// openFAT reads a volume's first sector and its allocation table.
func openFAT(volume *io.SectionReader) (*fat, error) {
	b := make([]byte, sector)
	if err := readAt(volume, b, 0, "the EFI system partition"); err != nil {
		return nil, err
	}
	u16 := func(at int) int64 { return int64(binary.LittleEndian.Uint16(b[at:])) }
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }
	perCluster, reserved, copies, total, tableSize := int64(b[13]), u16(14), int64(b[16]), u32(32), u32(36)
	switch {
	case u16(510) != 0xaa55 || u16(11) != sector || u16(17) != 0 || u16(19) != 0 || u16(22) != 0 || u16(42) != 0:
		return nil, refusal("the EFI system partition is not FAT32 of %d-byte sectors", sector)
	case perCluster == 0 || perCluster&(perCluster-1) != 0 || reserved == 0 || copies < 1 || copies > 2 || tableSize == 0:
		return nil, refusal("the EFI system partition's FAT32 has numbers that none has")
	case total*sector > volume.Size() || volume.Size() > maxESP:
		return nil, fault.Mismatch("the FAT32 does not fit its partition", fmt.Sprintf("up to %d bytes", min(volume.Size(),
			maxESP)), fmt.Sprintf("%d bytes", total*sector))
	}
	f := &fat{volume: volume, cluster: perCluster * sector, data: (reserved + copies*tableSize) * sector,
		root: uint32(u32(44)) & clusterMask} //nolint:gosec // of four bytes
	count := (total*sector - f.data) / f.cluster
	if f.data >= total*sector || count < minClusters || count >= clusterMask-16 || (count+2)*4 > tableSize*sector {
		return nil, refusal("the EFI system partition's FAT32 has %d clusters, or no room for their table", count)
	}
	f.clusters = uint32(count) + 2
	f.owned = make([]uint64, f.clusters/64+1)
	return f, f.readTables(reserved*sector, tableSize*sector, copies)
}

// readTables demands that the copies of the table agree: firmware may read any.
func (f *fat) readTables(at, size, copies int64) error {
	f.table = make([]byte, int64(f.clusters)*4)
	if err := readAt(f.volume, f.table, at, "the FAT"); err != nil {
		return err
	}
	if copies == 1 {
		return nil
	}
	other := make([]byte, len(f.table))
	if err := readAt(f.volume, other, at+size, "the second FAT"); err != nil {
		return err
	}
	if !bytes.Equal(f.table, other) {
		return refusal("the two FATs of the EFI system partition differ")
	}
	return nil
}

// extent is a run of bytes on the volume.
type extent struct{ at, size int64 }

// chain follows a file's clusters, at most limit of them. A cluster belongs to
// one chain, so that no chain has a loop.
func (f *fat) chain(name string, first uint32, limit int64) ([]extent, error) {
	var out []extent
	at := first
	for n := int64(0); at < endOfChain; n++ {
		if at < 2 || at >= f.clusters {
			return nil, refusal("the chain of %s leaves the volume: cluster %d", name, at)
		}
		if f.owned[at/64]>>(at%64)&1 == 1 {
			return nil, refusal("the chain of %s comes to cluster %d a second time: a loop, or two files share it", name, at)
		}
		if n == limit {
			return nil, fault.Mismatch("the chain of "+name+" is longer than "+name, fmt.Sprintf("%d clusters", limit), "more")
		}
		f.owned[at/64] |= 1 << (at % 64)
		begin := f.data + int64(at-2)*f.cluster
		if last := len(out) - 1; last >= 0 && out[last].at+out[last].size == begin {
			out[last].size += f.cluster
		} else {
			out = append(out, extent{begin, f.cluster})
		}
		at = binary.LittleEndian.Uint32(f.table[at*4:]) & clusterMask
	}
	return out, nil
}

// entry is a file or folder in a folder.
type entry struct {
	name    string // as the volume has it: eight and three letters
	folder  bool
	cluster uint32
	size    int64
}

// list reads a folder: its label and its links to itself are left out.
func (f *fat) list(name string, first, parent uint32) ([]entry, error) {
	extents, err := f.chain(name, first, maxDirClusters)
	if err != nil {
		return nil, err
	}
	b := make([]byte, sum(extents))
	if err := readAt(runs{volume: f.volume, extents: extents}, b, 0, name); err != nil {
		return nil, err
	}
	var out []entry
	isRoot := first == f.root
	for i := 0; i+dirEntry <= len(b) && b[i] != 0; i += dirEntry {
		e := b[i:][:dirEntry]
		kind := e[11]
		switch {
		case isRoot && kind == attrVolume && i == 0:
			continue
		case !isRoot && i < 2*dirEntry:
			if err := checkLink(name, e, []uint32{first, parent}[i/dirEntry], i/dirEntry); err != nil {
				return nil, err
			}
			continue
		case e[0] == 0xe5:
			return nil, refusal("%s has an entry that was deleted", name)
		case kind == attrLongName || kind != attrDirectory && kind != attrArchive && kind != 0:
			return nil, refusal("%s has an entry of a kind that is not ours: %.11q, attributes %#x", name, e[:11], kind)
		}
		out = append(out, entry{name: string(e[:11]), folder: kind == attrDirectory, cluster: startOf(e),
			size: int64(binary.LittleEndian.Uint32(e[28:]))})
	}
	return out, nil
}

func startOf(e []byte) uint32 {
	return uint32(binary.LittleEndian.Uint16(e[20:]))<<16 | uint32(binary.LittleEndian.Uint16(e[26:]))
}

// checkLink demands a folder's "." and "..".
func checkLink(name string, e []byte, cluster uint32, i int) error {
	want := [...]string{".          ", "..         "}[i]
	if string(e[:11]) != want || e[11] != attrDirectory || startOf(e) != cluster {
		return fault.Mismatch(name+" does not open with its links", fmt.Sprintf("%q to cluster %d", want, cluster),
			fmt.Sprintf("%.11q to cluster %d", e[:11], startOf(e)))
	}
	return nil
}

func sum(extents []extent) (n int64) {
	for _, e := range extents {
		n += e.size
	}
	return n
}

// only is a folder's one entry, which must be of this name.
func (f *fat) only(folder, name string, isFolder bool, first, parent uint32) (entry, error) {
	entries, err := f.list(folder, first, parent)
	if err != nil {
		return entry{}, err
	}
	for _, e := range entries {
		if e.name != name || e.folder != isFolder {
			return entry{}, fault.Mismatch(folder+" has another file than the one to boot", fmt.Sprintf("%q", name),
				fmt.Sprintf("%q", e.name))
		}
	}
	if len(entries) != 1 {
		return entry{}, fault.Mismatch(folder+" has not one entry", fmt.Sprintf("%q, once", name),
			fmt.Sprintf("%d times", len(entries)))
	}
	return entries[0], nil
}

// uki is EFI/BOOT/BOOTX64.EFI, the only file that is there.
func (f *fat) uki() (*io.SectionReader, error) {
	folder, at, parent := "the EFI system partition", f.root, uint32(0)
	for _, name := range []string{"EFI        ", "BOOT       "} {
		e, err := f.only(folder, name, true, at, parent)
		if err != nil {
			return nil, err
		}
		if parent = at; at == f.root {
			parent = 0 // what ".." calls the root
		}
		folder, at = "the folder "+strings.TrimSpace(name), e.cluster
	}
	e, err := f.only(folder, "BOOTX64 EFI", false, at, parent)
	if err != nil {
		return nil, err
	}
	need := (e.size + f.cluster - 1) / f.cluster
	if need == 0 {
		return nil, refusal("BOOTX64.EFI is empty")
	}
	extents, err := f.chain("BOOTX64.EFI", e.cluster, need)
	if err != nil {
		return nil, err
	}
	if got := sum(extents) / f.cluster; got != need {
		return nil, fault.Mismatch("the chain of BOOTX64.EFI is shorter than BOOTX64.EFI", fmt.Sprintf("%d clusters", need),
			fmt.Sprint(got))
	}
	return io.NewSectionReader(runs{volume: f.volume, extents: extents}, 0, e.size), nil
}

// runs reads what lies in pieces on a volume as one.
type runs struct {
	volume  io.ReaderAt
	extents []extent
}

func (r runs) ReadAt(b []byte, at int64) (n int, err error) {
	for _, e := range r.extents {
		if at >= e.size {
			at -= e.size
			continue
		}
		part := b[n:][:min(int64(len(b)-n), e.size-at)]
		read, err := r.volume.ReadAt(part, e.at+at)
		if n += read; read < len(part) {
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
		at = 0
	}
	return n, io.EOF
}
