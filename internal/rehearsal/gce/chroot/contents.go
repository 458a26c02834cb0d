package chroot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// loader stands for the measurements of shim and GRUB: what is in /boot/efi,
// or the versions of the packages that would put it there.
func loader(root *os.Root) (string, error) {
	files, sum, err := digestTree(root, "boot/efi")
	if err != nil || files > 0 {
		return fmt.Sprintf("%d files in /boot/efi %s", files, sum), err
	}
	packages, err := bootPackages(root)
	if err != nil || len(packages) > 0 {
		return strings.Join(packages, ", "), err
	}
	return "a stand-in, the disk has none", nil
}

// kernel is every kernel in /boot: no GRUB chooses one here.
func kernel(root *os.Root) (string, error) {
	return bootFiles(root, "vmlinuz*", "a stand-in, the disk has none")
}

// initrd is every initrd in /boot, or what initramfs-tools would make one of.
func initrd(root *os.Root) (string, error) {
	found, err := bootFiles(root, "initrd.img*", "")
	if err != nil || found != "" {
		return found, err
	}
	files, sum, err := digestTree(root, "etc/initramfs-tools", "usr/share/initramfs-tools/hooks", "usr/share/initramfs-tools/scripts")
	return fmt.Sprintf("%d files of initramfs-tools %s", files, sum), err
}

// bootFiles names the regular files of /boot with their digests.
func bootFiles(root *os.Root, pattern, none string) (string, error) {
	names, err := fs.Glob(root.FS(), "boot/"+pattern)
	if err != nil {
		return "", err
	}
	var out []string
	for _, name := range names {
		info, err := root.Lstat(name)
		if err != nil {
			return "", err
		}
		if !info.Mode().IsRegular() {
			continue // a link to another
		}
		sum, err := digestFile(root, name)
		if err != nil {
			return "", err
		}
		out = append(out, fmt.Sprintf("/%s %s", name, sum))
	}
	if len(out) == 0 {
		return none, nil
	}
	return strings.Join(out, ", "), nil
}

// digestTree is over the sorted names, modes and contents of the files and links below the folders.
func digestTree(root *os.Root, folders ...string) (files int, sum digest.Digest, err error) {
	h := sha256.New()
	for _, folder := range folders {
		err := fs.WalkDir(root.FS(), folder, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == folder {
				return fs.SkipDir
			}
			if err != nil || d.IsDir() {
				return err
			}
			files++
			return describe(h, root, name)
		})
		if err != nil {
			return 0, sum, err
		}
	}
	return files, digest.Digest(h.Sum(nil)), nil
}

func describe(w io.Writer, root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(name)
		fmt.Fprintf(w, "%q -> %q\n", name, target)
		return err
	}
	sum, err := digestFile(root, name)
	fmt.Fprintf(w, "%q %s %s\n", name, info.Mode(), sum.Hex())
	return err
}

func digestFile(root *os.Root, name string) (digest.Digest, error) {
	f, err := root.Open(name)
	if err != nil {
		return digest.Digest{}, err
	}
	defer f.Close() //nolint:errcheck // read-only handle
	sum, _, err := digest.OfReader(f)
	return sum, err
}
