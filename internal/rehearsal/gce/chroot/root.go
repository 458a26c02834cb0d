package chroot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// rawDisk is a machine's boot disk, open as long as the machine boots.
type rawDisk struct {
	*measuredboot.Disk
	file *os.File
}

// openDisk reads what firmware would boot. It says why that would not boot.
func openDisk(path string) (*rawDisk, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("no bootable device: the disk has no partition table; " +
			"a public image is a root file system here, without kernel and boot loader")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d, err := measuredboot.OpenFile(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &rawDisk{d, f}, nil
}

// roots are the verified root file systems, unpacked once each: mounting a
// squashfs needs a loop device, which a container and a user namespace lack.
type roots struct{ folders }

// open verifies every block of the disk's root, at every boot, and returns the
// folder that has its files. No machine writes there.
func (r *roots) open(ctx context.Context, d *rawDisk) (string, error) {
	if err := d.VerifyRoot(ctx); err != nil {
		return "", fmt.Errorf("the root file system does not verify: %w", err)
	}
	at := fmt.Sprint(d.Partitions()[1].Start)
	return r.filled(ctx, d.Boot().RootHash.Hex(), func(into string) []string {
		return []string{"unsquashfs", "-quiet", "-no-progress", "-offset", at, "-dest", into, d.file.Name()}
	})
}

// folders are filled by programs, once each.
type folders struct {
	runner *runner
	dir    string
	locks  sync.Map // by name: *sync.Mutex
}

// filled is the folder of this name, which program fills if it is not there yet.
func (f *folders) filled(ctx context.Context, name string, program func(into string) []string) (string, error) {
	l, _ := f.locks.LoadOrStore(name, &sync.Mutex{})
	l.(*sync.Mutex).Lock()
	defer l.(*sync.Mutex).Unlock()
	dir := filepath.Join(f.dir, name)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	return dir, f.runner.install(ctx, dir, program(dir+partial)...)
}

// partial is the ending of a folder that is being filled.
const partial = ".tmp"

// install runs a program that fills the folder dir+partial, which then becomes
// dir. What a program that was cut off left there is removed.
func (r *runner) install(ctx context.Context, dir string, program ...string) error {
	if err := errors.Join(r.remove(ctx, dir+partial), os.MkdirAll(filepath.Dir(dir), 0o755)); err != nil {
		return err
	}
	if err := r.run(ctx, program...); err != nil {
		return err
	}
	return os.Rename(dir+partial, dir)
}

// Modes in which a root file system is mounted.
const (
	writable = "rw"
	layered  = "layer" // writable, over what an image holds
	readOnly = "ro"
	state    = "state"   // read-only, and /var empty and in memory
	overlay  = "overlay" // what is written is in memory
)

// mode is the one that the kernel's command line asks systemd for.
func mode(boot *measuredboot.Boot) string { return cmp.Or(boot.Word("systemd.volatile"), readOnly) }

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
