// Package disktest makes small disks of a node's layout in memory: a partition
// table, an EFI system partition with a unified kernel image, a root and its
// dm-verity tree. Nothing on them boots; measuredboot reads them like real ones.
package disktest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// GUIDs of a node's disk: of itself, and of its partitions in their order.
const (
	Disk       = "4d45524f-5445-4500-8000-000000000001"
	ESP        = "4d45524f-5445-4500-8000-000000000002"
	Root       = "4d45524f-5445-4500-8000-000000000003"
	RootVerity = "4d45524f-5445-4500-8000-000000000004"
)

const mebibyte = 1 << 20

// Spec says what is on a disk. What is empty is made up, the same each time.
type Spec struct {
	Profile   string // of mero.profile=
	Content   string // of mero.content=, 64 hex digits
	Kernel    []byte
	Initrd    []byte
	OSRelease []byte
	Words     []string // more words of the command line
	Root      []byte   // the file system; it is filled up to whole blocks
}

// Make makes a disk.
func Make(s Spec) Image {
	root := fill(or(s.Root, []byte("hsqs, a root\n")), 2*block)
	tree, hash := Tree(root, make([]byte, 32))
	return Assemble(FAT(File{Path: "EFI/BOOT/BOOTX64.EFI", Content: UKI(s.Sections(hash)...)}), root, tree)
}

// Sections are those of the disk's unified kernel image.
func (s Spec) Sections(rootHash [sha256.Size]byte) []Section {
	return append(Stub(),
		Section{".osrel", or(s.OSRelease, []byte("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"26.04\"\n"))},
		Section{".cmdline", []byte(s.CommandLine(rootHash))},
		Section{".initrd", or(s.Initrd, []byte("an initrd"))},
		Section{".linux", or(s.Kernel, []byte("a kernel"))})
}

// CommandLine is the disk's.
func (s Spec) CommandLine(rootHash [sha256.Size]byte) string {
	profile, content := s.Profile, s.Content
	if profile == "" {
		profile = "debug"
	}
	if content == "" {
		content = strings.Repeat("0", 64)
	}
	words := []string{"roothash=" + hex.EncodeToString(rootHash[:]), "systemd.verity_root_data=PARTUUID=" + Root,
		"systemd.verity_root_hash=PARTUUID=" + RootVerity, "ro", "systemd.verity_root_options=panic-on-corruption",
		"systemd.gpt_auto=0", "efi=noruntime", "panic=5",
		"systemd.import_credentials=no", "rd.shell=0", "rd.emergency=reboot", "mero.profile=" + profile,
		"mero.content=" + content}
	return strings.Join(append(words, s.Words...), " ")
}

func or(content, made []byte) []byte {
	if content == nil {
		return made
	}
	return content
}

// fill appends zeros up to whole blocks, and to at least so many bytes.
func fill(b []byte, least int) []byte {
	n := max(least, (len(b)+block-1)/block*block)
	return append(bytes.Clone(b), make([]byte, n-len(b))...)
}

// Image is a raw disk.
type Image []byte

// Reader reads the disk.
func (d Image) Reader() *bytes.Reader { return bytes.NewReader(d) }

// WriteFile writes the disk to a new file, with holes where it is empty.
func (d Image) WriteFile(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	if err := f.Truncate(int64(len(d))); err != nil {
		return err
	}
	const piece = 1 << 16
	empty := make([]byte, piece)
	for at := 0; at < len(d); at += piece {
		part := d[at:min(at+piece, len(d))]
		if bytes.Equal(part, empty[:len(part)]) {
			continue
		}
		if _, err := f.WriteAt(part, int64(at)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
