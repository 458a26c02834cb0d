package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
)

// No kernel of an image runs here: this machine's does. What the image's own
// would show of a TD is decided by what the image has installed, as on hardware.

// The first Linux whose module tdx_guest shows the RTMRs in sysfs, and extends them.
const oldestMajor, oldestMinor = 6, 16

// module is where the kernel's packages put it, below the folder of a kernel.
const module = "kernel/drivers/virt/coco/tdx-guest/tdx-guest.ko*"

var errNoKernel = errors.New("no kernel is installed in /lib/modules")

// showsRegisters says why the newest kernel of a root would not show RTMRs when the
// services of early boot run; nil when it would. The module must be named in
// modules-load.d: udev may load it too, at a time that nothing orders.
func showsRegisters(root *os.Root) error {
	folder, kernel, err := newestKernel(root)
	if err != nil {
		return err
	}
	if major, minor := version(kernel); major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fmt.Errorf("kernel %s has no RTMRs in sysfs, which Linux %d.%d was the first to have", kernel, oldestMajor,
			oldestMinor)
	}
	if found, err := fs.Glob(root.FS(), path.Join(folder, kernel, module)); err != nil || len(found) == 0 {
		return fmt.Errorf("kernel %s is without the module tdx_guest", kernel)
	}
	return loaded(root, "tdx_guest")
}

// newestKernel is the one that an image would be made of; it has one alone.
func newestKernel(root *os.Root) (folder, kernel string, err error) {
	for _, folder := range []string{"usr/lib/modules", "lib/modules"} { // a link where /usr is merged
		entries, err := fs.ReadDir(root.FS(), folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", "", err
		}
		if len(entries) > 0 {
			newest := slices.MaxFunc(entries, func(a, b fs.DirEntry) int { return compare(a.Name(), b.Name()) })
			return folder, newest.Name(), nil
		}
	}
	return "", "", errNoKernel
}

var numbers = regexp.MustCompile(`^([0-9]{1,4})\.([0-9]{1,4})\b`)

// version is that of a release such as 7.0.0-1012-gcp, 0.0 of what is none.
func version(kernel string) (major, minor int) {
	m := numbers.FindStringSubmatch(kernel)
	if m == nil {
		return 0, 0
	}
	major, _ = strconv.Atoi(m[1]) // digits
	minor, _ = strconv.Atoi(m[2])
	return major, minor
}

func compare(a, b string) int {
	aMajor, aMinor := version(a)
	bMajor, bMinor := version(b)
	return slices.Compare([]int{aMajor, aMinor}, []int{bMajor, bMinor})
}

// loaded says that systemd-modules-load.service would load a module.
func loaded(root *os.Root, name string) error {
	found, err := fs.Glob(root.FS(), "etc/modules-load.d/*.conf")
	if err != nil {
		return err
	}
	for _, file := range found {
		text, err := readFile(root, file, 1<<16)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) == name {
				return nil
			}
		}
	}
	return fmt.Errorf("no file in /etc/modules-load.d names %s", name)
}

// unregistered is a TD of which the kernel shows quotes and no registers.
type unregistered struct{ configfsi.Client }

const registerFolder = configfsi.TsmPrefix + "/rtmrs"

func absent(name string) error {
	if path.Clean(name) == registerFolder || strings.HasPrefix(path.Clean(name), registerFolder+"/") {
		return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return nil
}

// MkdirTemp, ReadDir, ReadFile and WriteFile know no registers.
func (u unregistered) MkdirTemp(dir, pattern string) (string, error) {
	if err := absent(dir); err != nil {
		return "", err
	}
	return u.Client.MkdirTemp(dir, pattern)
}

func (u unregistered) ReadDir(dir string) ([]os.DirEntry, error) {
	if err := absent(dir); err != nil {
		return nil, err
	}
	return u.Client.ReadDir(dir)
}

func (u unregistered) ReadFile(name string) ([]byte, error) {
	if err := absent(name); err != nil {
		return nil, err
	}
	return u.Client.ReadFile(name)
}

func (u unregistered) WriteFile(name string, contents []byte) error {
	if err := absent(name); err != nil {
		return err
	}
	return u.Client.WriteFile(name, contents)
}
