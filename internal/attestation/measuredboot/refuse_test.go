package measuredboot_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// sector is what the places on a disk below are counted in, in bytes.
const sector = 512

// esp is where the EFI system partition begins.
const esp = 1 << 20

func refuses(t *testing.T, d disktest.Image, want, name string) {
	t.Helper()
	_, err := open(t, d)
	require.ErrorContains(t, err, want, name)
	require.Equal(t, fault.Verification, fault.CodeOf(err), name)
}

// scratch is a disk whose first and last MiBs may be changed, and what undoes that.
func scratch() (d disktest.Image, restore func()) {
	d = disktest.Make(disktest.Spec{})
	const most = 3 << 20
	first, last := bytes.Clone(d[:most]), bytes.Clone(d[len(d)-esp:])
	return d, func() {
		copy(d, first)
		copy(d[len(d)-esp:], last)
	}
}

func TestPartitionTableIsRefused(t *testing.T) {
	t.Parallel()
	base, restore := scratch()
	put64 := func(b []byte, n uint64) { binary.LittleEndian.PutUint64(b, n) }
	entry := func(d disktest.Image, i int) []byte { return d[2*sector+128*i:][:128] }
	both := func(d disktest.Image, at int, n byte) { // a field of both headers
		d[sector+at], d[len(d)-sector+at] = n, n
	}
	for name, tc := range map[string]struct {
		change func(disktest.Image) disktest.Image
		sealed bool // with right checksums
		want   string
	}{
		"half a sector": {func(d disktest.Image) disktest.Image {
			return d[:len(d)-100]
		}, false, "size is not that of a disk"},
		"tiny": {func(d disktest.Image) disktest.Image {
			return d[:34*sector]
		}, false, "size is not that of a disk"},
		"cut": {func(d disktest.Image) disktest.Image { return d[:len(d)-sector] }, false, "cut or grown"},
		"grown": {func(d disktest.Image) disktest.Image {
			return append(d, make([]byte, sector)...)
		}, false, "cut or grown"},
		"boot code": {func(d disktest.Image) disktest.Image { d[0] = 0xeb; return d }, false, "not a protective MBR"},
		"no MBR": {func(d disktest.Image) disktest.Image {
			clear(d[:sector])
			return d
		}, false, "not a protective MBR"},
		"no header": {func(d disktest.Image) disktest.Image { d[sector] = 0; return d }, false, "sector 1 is none"},
		"header changed": {func(d disktest.Image) disktest.Image {
			d[sector+60]++
			return d
		}, false, "is not of its checksum"},
		"entries changed": {func(d disktest.Image) disktest.Image {
			d[2*sector+60]++
			return d
		}, false, "the entries in sector 2"},
		"no backup": {func(d disktest.Image) disktest.Image {
			clear(d[len(d)-sector:])
			return d
		}, false, "header in sector"},
		"another backup": {func(d disktest.Image) disktest.Image {
			d[len(d)-sector+60]++
			d.Seal()
			return d
		}, false, "another one than that at its start"},
		"header's size":     {func(d disktest.Image) disktest.Image { both(d, 12, 96); return d }, true, "size"},
		"number of entries": {func(d disktest.Image) disktest.Image { both(d, 80, 64); return d }, true, "number of entries"},
		"size of an entry":  {func(d disktest.Image) disktest.Image { both(d, 85, 1); return d }, true, "size of an entry"},
		"usable sectors": {func(d disktest.Image) disktest.Image {
			both(d, 40, 2)
			return d
		}, true, "lie outside of the disk"},
		"behind the header": {func(d disktest.Image) disktest.Image {
			d[sector+100] = 1
			return d
		}, true, "something behind it"},
		"no GUID": {func(d disktest.Image) disktest.Image {
			clear(d[sector+56 : sector+72])
			clear(d[len(d)-sector+56 : len(d)-sector+72])
			return d
		}, true, "the disk has no GUID"},
		"a partition too many": {func(d disktest.Image) disktest.Image {
			copy(entry(d, 3), entry(d, 2))
			return d
		}, true, "a partition too many"},
		"a partition too few": {func(d disktest.Image) disktest.Image {
			clear(entry(d, 2))
			return d
		}, true, "a partition too few"},
		"a gap": {func(d disktest.Image) disktest.Image {
			copy(entry(d, 3), entry(d, 2))
			clear(entry(d, 2))
			return d
		}, true, "behind an unused one"},
		"a rest": {func(d disktest.Image) disktest.Image {
			entry(d, 7)[100] = 1
			return d
		}, true, "is unused, and not empty"},
		"another type": {func(d disktest.Image) disktest.Image {
			copy(entry(d, 0), disktest.GUID(disktest.TypeRoot))
			return d
		}, true, "partition 1 is another one"},
		"another name": {func(d disktest.Image) disktest.Image {
			entry(d, 1)[56] = 'R'
			return d
		}, true, "partition 2 is another one"},
		"doubled": {func(d disktest.Image) disktest.Image {
			copy(entry(d, 2)[16:32], entry(d, 1)[16:32])
			return d
		}, true, "has no GUID of its own"},
		"attributes": {func(d disktest.Image) disktest.Image { entry(d, 1)[48] = 1; return d }, true, "has attributes"},
		"overlapping": {func(d disktest.Image) disktest.Image { put64(entry(d, 1)[32:], 4096); return d }, true,
			"partition 2, root, overlaps"},
		"over the table": {func(d disktest.Image) disktest.Image {
			put64(entry(d, 0)[32:], 0)
			return d
		}, true, "partition 1, esp, overlaps"},
		"beyond the end": {func(d disktest.Image) disktest.Image {
			put64(entry(d, 2)[40:], uint64(len(d)/sector)-1)
			return d
		}, true, "leaves the disk"},
		"backwards": {func(d disktest.Image) disktest.Image {
			put64(entry(d, 2)[40:], 1)
			return d
		}, true, "leaves the disk"},
		"crooked": {func(d disktest.Image) disktest.Image {
			entry(d, 2)[32]++
			return d
		}, true, "does not start at a whole MiB"},
	} {
		d := tc.change(base)
		if tc.sealed {
			d.Seal()
		}
		refuses(t, d, tc.want, name)
		restore()
	}
}

func TestESPIsRefused(t *testing.T) {
	t.Parallel()
	root := make([]byte, 2*4096)
	tree, hash := disktest.Tree(root, nil)
	uki := disktest.File{Path: "EFI/BOOT/BOOTX64.EFI", Content: disktest.UKI(disktest.Spec{}.Sections(hash)...)}
	with := func(files ...disktest.File) disktest.Image {
		return disktest.Assemble(disktest.FAT(append([]disktest.File{uki}, files...)...), root, tree)
	}
	for name, tc := range map[string]struct {
		disk disktest.Image
		want string
	}{
		"a second file":         {with(disktest.File{Path: "EFI/BOOT/GRUB.CFG"}), "the folder BOOT has another file"},
		"the same name twice":   {with(uki), "the folder BOOT has not one entry"},
		"a file in the root":    {with(disktest.File{Path: "STARTUP.NSH"}), "the EFI system partition has another file"},
		"a second folder":       {with(disktest.File{Path: "LOADER/ADDONS/A.EFI"}), "the EFI system partition has another"},
		"credentials in a file": {with(disktest.File{Path: "EFI/CREDS.CRE"}), "the folder EFI has another file"},
		"empty":                 {disktest.Assemble(disktest.FAT(), root, tree), "has not one entry"},
		"an empty image": {disktest.Assemble(disktest.FAT(disktest.File{Path: uki.Path}), root, tree),
			"BOOTX64.EFI is empty"},
	} {
		refuses(t, tc.disk, tc.want, name)
	}
}

func TestFATIsRefused(t *testing.T) {
	t.Parallel()
	d, restore := scratch()
	size := int(binary.LittleEndian.Uint32(d[esp+32:])) * sector
	tables := disktest.TableSectors(size)
	data := esp + (disktest.Reserved+2*tables)*sector // cluster 2: the root, then EFI, BOOT, the image
	set := func(d disktest.Image, cluster int, n uint32) {
		for i := range 2 {
			binary.LittleEndian.PutUint32(d[esp+(disktest.Reserved+i*tables)*sector+4*cluster:], n)
		}
	}
	for name, tc := range map[string]struct {
		change func(disktest.Image)
		want   string
	}{
		"not FAT":            {func(d disktest.Image) { d[esp+510] = 0 }, "is not FAT32"},
		"FAT16":              {func(d disktest.Image) { d[esp+22] = 1 }, "is not FAT32"},
		"odd clusters":       {func(d disktest.Image) { d[esp+13] = 3 }, "numbers that none has"},
		"large clusters":     {func(d disktest.Image) { d[esp+13] = 64 }, "clusters, or no room"},
		"small table":        {func(d disktest.Image) { d[esp+37] = 0 }, "clusters, or no room"},
		"larger than it is":  {func(d disktest.Image) { d[esp+35] = 1 }, "does not fit its partition"},
		"tables differ":      {func(d disktest.Image) { d[esp+(disktest.Reserved+tables)*sector+200]++ }, "two FATs"},
		"a loop":             {func(d disktest.Image) { set(d, 6, 5) }, "a loop, or two files share it"},
		"a folder's loop":    {func(d disktest.Image) { set(d, 3, 3) }, "a loop, or two files share it"},
		"shared":             {func(d disktest.Image) { set(d, 6, 3) }, "a loop, or two files share it"},
		"outside":            {func(d disktest.Image) { set(d, 6, 0x0ffffff0) }, "leaves the volume"},
		"free":               {func(d disktest.Image) { set(d, 6, 0) }, "leaves the volume"},
		"short":              {func(d disktest.Image) { set(d, 6, 0x0fffffff) }, "is shorter than BOOTX64.EFI"},
		"long":               {func(d disktest.Image) { d[data+2*sector+64+29] = 4 }, "is longer than BOOTX64.EFI"},
		"root elsewhere":     {func(d disktest.Image) { d[esp+44] = 3 }, "attributes 0x10"},
		"deleted":            {func(d disktest.Image) { d[data] = 0xe5 }, "that was deleted"},
		"a long name":        {func(d disktest.Image) { d[data+11] = 0x0f }, "a kind that is not ours"},
		"hidden":             {func(d disktest.Image) { d[data+2*sector+64+11] = 0x22 }, "a kind that is not ours"},
		"a folder for image": {func(d disktest.Image) { d[data+2*sector+64+11] = 0x10 }, "another file"},
		"links":              {func(d disktest.Image) { d[data+sector+26] = 9 }, "does not open with its links"},
	} {
		tc.change(d)
		_, err := open(t, d)
		restore()
		require.Error(t, err, name)
		if name == "root elsewhere" {
			continue // which of the refusals comes first does not matter
		}
		require.ErrorContains(t, err, tc.want, name)
	}
}

// withUKI is a disk whose image was changed.
func withUKI(change func([]byte) []byte) disktest.Image {
	root := make([]byte, 2*4096)
	copy(root, "hsqs, a root\n")
	tree, hash := disktest.Tree(root, make([]byte, 32))
	uki := change(disktest.UKI(disktest.Spec{}.Sections(hash)...))
	return disktest.Assemble(disktest.FAT(disktest.File{Path: "EFI/BOOT/BOOTX64.EFI", Content: uki}), root, tree)
}

// certified appends a table of one certificate of so many bytes.
func certified(b []byte, length uint32) []byte {
	directory := b[disktest.Optional+144:]
	binary.LittleEndian.PutUint32(directory, uint32(len(b)))
	binary.LittleEndian.PutUint32(directory[4:], 16)
	b = binary.LittleEndian.AppendUint32(b, length)
	return append(b, make([]byte, 12)...)
}

func TestImageIsRefused(t *testing.T) {
	t.Parallel()
	put32 := func(b []byte, at int, n uint32) []byte { binary.LittleEndian.PutUint32(b[at:], n); return b }
	header := func(i int) int { return disktest.SectionTable + 40*i } // .text, .data, .sbat, .sdmagic, .reloc, .osrel…
	for name, tc := range map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"text":              {func(b []byte) []byte { return []byte(strings.Repeat("hello", 1000)) }, "is not a PE image"},
		"no header":         {func(b []byte) []byte { return put32(b, 60, 1<<20) }, "its header is not where it says"},
		"cut":               {func(b []byte) []byte { return b[:len(b)-sector] }, "leaves BOOTX64.EFI"},
		"another processor": {func(b []byte) []byte { b[disktest.PEHeader+4] = 1; return b }, "machine"},
		"a driver":          {func(b []byte) []byte { b[disktest.Optional+68] = 11; return b }, "subsystem"},
		"symbols":           {func(b []byte) []byte { return put32(b, disktest.PEHeader+12, 1) }, "symbol table"},
		"no sections": {func(b []byte) []byte {
			b[disktest.PEHeader+6] = 0
			return b
		}, "not the sections of a kernel image"},
		"headers": {func(b []byte) []byte {
			return put32(b, disktest.Optional+60, 64)
		}, "says that its headers have"},
		"overlap in memory": {func(b []byte) []byte {
			return put32(b, header(1)+12, 4096)
		}, "overlaps another one in memory"},
		"overlap in file": {func(b []byte) []byte {
			return put32(b, header(1)+20, binary.LittleEndian.Uint32(b[header(1)+20:])-sector)
		}, "overlaps another one in the file"},
		"gap in file": {func(b []byte) []byte {
			return put32(b, header(1)+20, binary.LittleEndian.Uint32(b[header(1)+20:])+sector)
		}, "bytes of no section"},
		"more in memory": {func(b []byte) []byte { return put32(b, header(6)+8, 1<<20) }, "is not wholly in the file"},
		"larger in memory": {func(b []byte) []byte {
			return put32(b, disktest.Optional+56, 4096)
		}, "behind its end in memory"},
		"relocations":  {func(b []byte) []byte { b[header(0)+32] = 1; return b }, "relocations of its own"},
		"bytes behind": {func(b []byte) []byte { return append(b, 1) }, "bytes behind its last section"},
		"certificates elsewhere": {func(b []byte) []byte {
			return put32(certified(b, 16), disktest.Optional+144, 4096)
		}, "the certificate table of BOOTX64.EFI lies"},
		"certificates too short": {func(b []byte) []byte {
			return put32(certified(b, 16), disktest.Optional+148, 8)
		}, "the certificate table of BOOTX64.EFI lies"},
		"a certificate too long":  {func(b []byte) []byte { return certified(b, 64) }, "a certificate of 64 bytes"},
		"a certificate too short": {func(b []byte) []byte { return certified(b, 4) }, "a certificate of 4 bytes"},
	} {
		refuses(t, withUKI(tc.change), tc.want, name)
	}
}

func TestSectionsAreRefused(t *testing.T) {
	t.Parallel()
	without := func(name string) func([]disktest.Section) []disktest.Section {
		return func(sections []disktest.Section) (out []disktest.Section) {
			for _, s := range sections {
				if s.Name != name {
					out = append(out, s)
				}
			}
			return out
		}
	}
	with := func(name, content string) func([]disktest.Section) []disktest.Section {
		return func(sections []disktest.Section) []disktest.Section {
			return append(without(name)(sections), disktest.Section{Name: name, Content: []byte(content)})
		}
	}
	for name, tc := range map[string]struct {
		change func([]disktest.Section) []disktest.Section
		want   string
	}{
		"a device tree": {with(".dtb", "x"), "a section that is not ours"},
		"a profile":     {with(".profile", "ID=x"), "a section that is not ours"},
		"no kernel":     {without(".linux"), "has no section .linux"},
		"no line":       {without(".cmdline"), "has no section .cmdline"},
		"twice": {func(s []disktest.Section) []disktest.Section { return append(s, s[6]) },
			"has section .cmdline twice"},
		"stub of 255": {with(".sdmagic", "#### LoaderInfo: systemd-stub 255.4-1ubuntu8 ####"), "is not known"},
		"stub of 260": {with(".sdmagic", "#### LoaderInfo: systemd-stub 260 ####"), "is not known"},
		"TPM alone":   {with(".text", "\x48\xb8\x3d\x1a\x75\x96\xf4\x72\xa6\x41"), "does not measure by the protocol"},
		"halves far apart": {with(".text", "\x3d\x1a\x75\x96\xf4\x72\xa6\x41"+strings.Repeat("\x90", 100)+
			"\xa7\x94\xed\x5d\x0e\x67\xae\x6b"), "does not measure by the protocol"},
		"a long line": {with(".cmdline", strings.Repeat("a", 1<<17)), "is large"},
		"a NUL": {func(s []disktest.Section) []disktest.Section {
			s[6].Content = append(s[6].Content, 0)
			return s
		}, "has another value"},
	} {
		root := make([]byte, 2*4096)
		tree, hash := disktest.Tree(root, nil)
		uki := disktest.UKI(tc.change(disktest.Spec{}.Sections(hash))...)
		refuses(t, disktest.Assemble(disktest.FAT(disktest.File{Path: "EFI/BOOT/BOOTX64.EFI", Content: uki}), root, tree),
			tc.want, name)
	}
}

func TestStubWithItsGUIDAsData(t *testing.T) {
	t.Parallel()
	guid := disktest.GUID("96751a3d-72f4-41a6-a794-ed5d0e67ae6b")
	root := make([]byte, 2*4096)
	tree, hash := disktest.Tree(root, nil)
	sections := disktest.Spec{}.Sections(hash)
	sections[0].Content, sections[1].Content = []byte{0xc3}, guid
	_, err := open(t, disktest.Assemble(disktest.FAT(disktest.File{Path: "EFI/BOOT/BOOTX64.EFI",
		Content: disktest.UKI(sections...)}), root, tree))
	require.NoError(t, err)
}

func TestCommandLineIsRefused(t *testing.T) {
	t.Parallel()
	good := disktest.Spec{Words: []string{"quiet", "loglevel=0", "console=tty0"}}.CommandLine([32]byte{1})
	_, err := measuredboot.ReadCommandLine(good)
	require.NoError(t, err)
	for _, way := range []string{"init=/bin/sh", "rdinit=/bin/sh", "systemd.run=/bin/sh", "systemd.debug_shell",
		"systemd.debug-shell=1", "rd.shell=1", "rd.break", "systemd.unit=emergency.target", "single", "emergency", "rescue",
		"1", "s",
		"systemd.setenv=A=B", "rd.systemd.unit=rescue.target", "mero.rootfs=x", "\"quiet", "quiet=", "rw", "ds=nocloud",
		"quiet\n",
		"-b", "systemd.set_credential=a:b", "SYSTEMD.RUN=x", "root=/dev/sda"} {
		_, err := measuredboot.ReadCommandLine(good + " " + way)
		require.ErrorContains(t, err, "the command line", way)
	}
	for name, tc := range map[string]struct{ line, want string }{
		"twice":         {good + " ro", `a word twice: "ro"`},
		"other value":   {strings.Replace(good, "panic=5", "panic=0", 1), `"panic" has another value`},
		"runtime":       {strings.Replace(good, "efi=noruntime", "efi=runtime", 1), `"efi" has another value`},
		"a shell":       {strings.Replace(good, "rd.shell=0", "rd.shell=1", 1), `"rd.shell" has another value`},
		"an upper hash": {strings.Replace(good, "roothash=01", "roothash=0A", 1), `"roothash" has another value`},
		"missing":       {strings.Replace(good, "systemd.import_credentials=no ", "", 1), "without systemd.import"},
		"two spaces":    {good + "  quiet", "not known to be harmless"},
		"empty":         {"", "not known to be harmless"},
	} {
		_, err := measuredboot.ReadCommandLine(tc.line)
		require.ErrorContains(t, err, tc.want, name)
	}
}

func TestOtherPartitionsAreRefused(t *testing.T) {
	t.Parallel()
	root := make([]byte, 2*4096)
	tree, hash := disktest.Tree(root, nil)
	sections := disktest.Spec{}.Sections(hash)
	sections[6].Content = []byte(strings.Replace(string(sections[6].Content), disktest.Root, disktest.Disk, 1))
	refuses(t, disktest.Assemble(disktest.FAT(disktest.File{Path: "EFI/BOOT/BOOTX64.EFI",
		Content: disktest.UKI(sections...)}), root, tree), "systemd.verity_root_data is not the disk's partition", "")
}

func TestSuperblockIsRefused(t *testing.T) {
	t.Parallel()
	root := make([]byte, 300*4096)
	_, hash := disktest.Tree(root, nil)
	uki := disktest.File{Path: "EFI/BOOT/BOOTX64.EFI", Content: disktest.UKI(disktest.Spec{}.Sections(hash)...)}
	for name, tc := range map[string]struct {
		at   int
		n    byte
		want string
	}{
		"none": {0, 'x', "has no superblock"}, "version": {8, 2, "version"}, "hash type": {12, 0, "hash type"},
		"algorithm": {32, 'S', "algorithm"}, "data block": {65, 0, "data block size"},
		"hash block": {69, 0, "hash block size"},
		"no blocks":  {73, 0, "not over the root"}, "many blocks": {74, 9, "not over the root"},
		"more blocks": {79, 1, "not over the root"},
		"a long salt": {81, 9, "a salt that is too long"}, "a rest of salt": {100, 1, "a salt that is too long"},
		"behind it": {600, 1, "something behind it"},
	} {
		tree, _ := disktest.Tree(root, nil)
		tree[tc.at] = tc.n
		if name == "no blocks" {
			tree[72] = 1
		}
		refuses(t, disktest.Assemble(disktest.FAT(uki), root, tree), tc.want, name)
	}
	tree, _ := disktest.Tree(root, nil)
	err := measuredboot.ReadTree(io.NewSectionReader(bytes.NewReader(tree), 0, 3*4096), int64(len(root)))
	require.ErrorContains(t, err, "does not fit its partition")
}
