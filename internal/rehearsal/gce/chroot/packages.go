package chroot

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// bootPackages are the installed packages of shim and GRUB with their versions.
func bootPackages(root *os.Root) ([]string, error) {
	f, err := root.Open("var/lib/dpkg/status")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only handle
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
