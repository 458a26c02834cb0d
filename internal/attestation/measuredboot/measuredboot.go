// Package measuredboot knows what a node's disk makes of RTMR1 and RTMR2 before
// it is booted. It reads a raw disk's partition table, its EFI system partition
// and the unified kernel image on it, and gives the events that firmware,
// systemd-stub and the kernel will extend, in order.
//
// Its promise: the list is complete, or Open says what it does not understand. A
// log is judged by its digests alone: what a payload says counts only where the
// digest is that of the payload.
//
// Sources: UEFI 2.10 (5.3 GPT, 38.4.1 registers of confidential computing), TCG
// PC Client Platform Firmware Profile 1.06, Microsoft's Authenticode and FAT
// specifications, systemd 259 (stub.c, measure.c, cpio.c), Linux 7.0 (the EFI
// stub), cryptsetup's dm-verity on-disk format; and real logs, which the tests hold.
package measuredboot

import (
	"context"
	"io"
	"os"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Disk is a raw disk whose form is understood. Its root has not been read.
type Disk struct {
	boot  *Boot
	parts [3]Extent
	root  *io.SectionReader
	tree  *tree
}

// Extent is a part of a disk, in bytes; End is the first byte behind it.
type Extent struct{ Start, End int64 }

// OpenFile is Open of the disk in a file, or of a block device. A file that has
// no end, like a pipe, is the caller's mistake: code Usage.
func OpenFile(f *os.File) (*Disk, error) {
	size, err := f.Seek(0, io.SeekEnd) // a block device tells its size in no other way
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "cannot read the disk", Err: err}
	}
	return Open(f, size)
}

// Open reads a raw disk's partition table, its EFI system partition and its
// unified kernel image; what it does not understand it refuses by name. It does
// not read the root.
func Open(disk io.ReaderAt, size int64) (*Disk, error) {
	t, err := readTable(disk, size)
	if err != nil {
		return nil, err
	}
	esp, err := openFAT(t.partitions[0].reader(disk))
	if err != nil {
		return nil, err
	}
	file, err := esp.uki()
	if err != nil {
		return nil, err
	}
	p, err := openUKI(file)
	if err != nil {
		return nil, err
	}
	line, err := p.text(".cmdline")
	if err != nil {
		return nil, err
	}
	words, err := parseCommandLine(string(line))
	if err != nil {
		return nil, err
	}
	d := &Disk{root: t.partitions[1].reader(disk)}
	for i, p := range t.partitions {
		d.parts[i] = p.extent()
	}
	if err := checkRoots(words, t.partitions); err != nil {
		return nil, err
	}
	if d.tree, err = openTree(t.partitions[2].reader(disk), d.root.Size()); err != nil {
		return nil, err
	}
	root, err := rootHash(words)
	if err != nil {
		return nil, err
	}
	d.boot, err = predict(p, t.measured, string(line), root)
	return d, err
}

// checkRoots demands that the command line's partitions are the disk's own.
func checkRoots(words map[string]string, partitions [3]partition) error {
	for i, key := range []string{"systemd.verity_root_data", "systemd.verity_root_hash"} {
		if want := "PARTUUID=" + partitions[i+1].id.String(); words[key] != want {
			return fault.Mismatch("the command line's "+key+" is not the disk's partition", want, words[key])
		}
	}
	return nil
}

// Boot is what the disk boots and what is measured of it.
func (d *Disk) Boot() *Boot { return d.boot }

// Partitions are where the EFI system partition, the root and the root's hash tree lie.
func (d *Disk) Partitions() [3]Extent { return d.parts }

// Root is the partition of the root file system, a squashfs and what fills the partition up.
func (d *Disk) Root() *io.SectionReader { return io.NewSectionReader(d.root, 0, d.root.Size()) }

// VerifyRoot reads every block of the root and of its dm-verity tree: the tree
// is that of the command line's root hash, the data that of the tree, and
// nothing is behind them.
func (d *Disk) VerifyRoot(ctx context.Context) error {
	return d.tree.verify(ctx, d.Root(), d.boot.RootHash)
}
