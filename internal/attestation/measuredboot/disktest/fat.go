package disktest

import (
	"encoding/binary"
	"strings"
)

// File is a file of the EFI system partition. Its path is of names of eight and three letters.
type File struct {
	Path    string
	Content []byte
}

// Of the FAT32 that is made: clusters of one sector, so that the fewest that
// FAT32 has fit 34 MiB.
const (
	sector   = 512
	Reserved = 32 // sectors before the first table
	least    = 34 * mebibyte
)

// TableSectors is the size of one of the two tables of a FAT32 of this many bytes.
func TableSectors(volume int) int { return (volume/sector + 2 + 127) / 128 }

// volume is a FAT32 that is being made.
type volume struct {
	b     []byte
	table int // sectors of one
	next  uint32
}

// FAT is a FAT32 with these files.
func FAT(files ...File) []byte {
	size := least
	for _, f := range files {
		size += align(len(f.Content), mebibyte)
	}
	v := &volume{b: make([]byte, size), table: TableSectors(size), next: 2}
	put16, put32 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32
	copy(v.b, "\xeb\x58\x90mero    ")
	put16(v.b[11:], sector)
	v.b[13] = 1
	put16(v.b[14:], Reserved)
	v.b[16] = 2
	v.b[21] = 0xf8
	put16(v.b[24:], 32) // sectors and heads, which tools want
	put16(v.b[26:], 8)
	put32(v.b[32:], uint32(size/sector))
	put32(v.b[36:], uint32(v.table)) //nolint:gosec // a test's disk is small
	put32(v.b[44:], 2)
	put16(v.b[48:], 1)
	v.b[66] = 0x29
	put16(v.b[50:], 6) // where the copy of this sector is
	copy(v.b[71:], "NO NAME    FAT32   ")
	put16(v.b[510:], 0xaa55)
	copy(v.b[sector:], "RRaA")
	copy(v.b[sector+484:], "rrAa\xff\xff\xff\xff\xff\xff\xff\xff")
	put16(v.b[sector+510:], 0xaa55)
	v.set(0, 0x0ffffff8)
	v.set(1, 0x0fffffff)
	v.folder("", 0, files)
	clusters := size/sector - Reserved - 2*v.table
	put32(v.b[sector+488:], uint32(clusters)+2-v.next) //nolint:gosec // a test's disk is small
	put32(v.b[sector+492:], v.next-1)
	copy(v.b[6*sector:], v.b[:2*sector])
	return v.b
}

// set writes an entry of both tables.
func (v *volume) set(cluster, value uint32) {
	for i := range 2 {
		binary.LittleEndian.PutUint32(v.b[(Reserved+i*v.table)*sector+int(cluster)*4:], value)
	}
}

// take gives a chain of clusters, one behind the other.
func (v *volume) take(bytes int) (first uint32, content []byte) {
	n := uint32(max(1, align(bytes, sector)/sector)) //nolint:gosec // a test's disk is small
	first = v.next
	v.next += n
	for c := first; c < v.next-1; c++ {
		v.set(c, c+1)
	}
	v.set(v.next-1, 0x0fffffff)
	at := (Reserved + 2*v.table + int(first) - 2) * sector
	return first, v.b[at : at+int(n)*sector]
}

// folder writes the files below a path, and gives its first cluster.
func (v *volume) folder(path string, parent uint32, files []File) uint32 {
	first, b := v.take(sector)
	at := 0
	add := func(name string, kind byte, cluster uint32, size int) {
		e := b[at:]
		copy(e, name)
		e[11] = kind
		binary.LittleEndian.PutUint16(e[20:], uint16(cluster>>16))
		binary.LittleEndian.PutUint16(e[26:], uint16(cluster)) //nolint:gosec // a test's disk is small
		binary.LittleEndian.PutUint32(e[28:], uint32(size))    //nolint:gosec // a test's disk is small
		at += 32
	}
	if path != "" {
		add(".          ", 0x10, first, 0)
		add("..         ", 0x10, parent, 0)
		parent = first
	}
	made := map[string]bool{}
	for _, f := range files {
		rest, below := strings.CutPrefix(f.Path, path)
		if !below {
			continue
		}
		name, _, isFolder := strings.Cut(rest, "/")
		if made[name] && isFolder {
			continue
		}
		made[name] = true
		if isFolder {
			add(short(name), 0x10, v.folder(path+name+"/", parent, files), 0)
			continue
		}
		cluster, content := v.take(len(f.Content))
		copy(content, f.Content)
		add(short(name), 0x20, cluster, len(f.Content))
	}
	return first
}

// short is a name as FAT has it.
func short(name string) string {
	base, ext, _ := strings.Cut(name, ".")
	return (base + "        ")[:8] + (ext + "   ")[:3]
}
