package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// CommandLine is what GRUB gives the kernel of a disk, after the kernel's path
// and its root: as grub-mkconfig does, from /etc/default/grub and then
// /etc/default/grub.d/*.cfg, without a shell.
func CommandLine(disk string) (line string, err error) {
	err = inDisk(disk, func(root *os.Root) error {
		line, err = commandLine(root)
		return err
	})
	return line, err
}

func commandLine(root *os.Root) (string, error) {
	files, err := fs.Glob(root.FS(), "etc/default/grub.d/*.cfg")
	if err != nil {
		return "", err
	}
	var v variables
	for _, name := range append([]string{"etc/default/grub"}, files...) {
		text, err := readFile(root, name, maxAssignments)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			v, err = v.source(text)
		}
		if err != nil {
			return "", fmt.Errorf("/%s: %w", name, err)
		}
	}
	var words []string
	for _, name := range []string{"GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"} { // the order of 10_linux
		value, err := v.get(name)
		if err != nil {
			return "", err
		}
		words = append(words, strings.Fields(value)...)
	}
	return strings.Join(words, " "), nil
}

// parameter finds a parameter of the kernel's command line. One that is given
// twice is refused: who reads the last and who reads the first would disagree.
func parameter(line, name string) (value string, found bool, err error) {
	for _, word := range strings.Fields(line) {
		key, v, _ := strings.Cut(word, "=")
		if key != name {
			continue
		}
		if found {
			return "", false, fmt.Errorf("the kernel's command line has %s twice", name)
		}
		value, found = v, true
	}
	return value, found, nil
}

// readFile reads a regular file of at most limit bytes.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := file.ReadAll(f, limit)
	if err != nil {
		err = fmt.Errorf("/%s: %w", name, err)
	}
	return text, err
}
