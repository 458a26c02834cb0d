package chroot

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
)

// Measure says what the boot chain measures of a disk, before anything of it runs.
func Measure(disk string) (events bootchain.Events, err error) {
	err = inDisk(disk, func(root *os.Root) error {
		loader, err := loader(root)
		if err != nil {
			return err
		}
		kernel, err := kernel(root)
		if err != nil {
			return err
		}
		initrd, err := initrd(root)
		if err != nil {
			return err
		}
		line, err := commandLine(root)
		if err != nil {
			return err
		}
		events = append(bootchain.C3().Events(),
			bootchain.Event{RTMR: 1, Text: "rehearsal shim and loader: " + loader},
			bootchain.Event{RTMR: 2, Text: "kernel: " + kernel},
			bootchain.Event{RTMR: 2, Text: "initrd: " + initrd},
			bootchain.CommandLine(line))
		return nil
	})
	return events, err
}

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
	files, sum, err := digestTree(root, "etc/initramfs-tools",
		"usr/share/initramfs-tools/hooks", "usr/share/initramfs-tools/scripts")
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
	defer f.Close()
	sum, _, err := digest.OfReader(f)
	return sum, err
}

// bootPackages are the installed packages of shim and GRUB with their versions.
func bootPackages(root *os.Root) ([]string, error) {
	f, err := root.Open("var/lib/dpkg/status")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	name := ""
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case key == "Package":
			name = value
		case key == "Version" && (strings.HasPrefix(name, "grub") || strings.HasPrefix(name, "shim")):
			out = append(out, name+" "+value)
		}
	}
	slices.Sort(out)
	return out, lines.Err()
}
