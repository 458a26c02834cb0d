package chroot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
)

// frozen is where a disk has its verified root: a squashfs, its hash tree behind it.
const frozen = "boot/mero/root.img"

// verity is what the kernel's command line says about a verified root.
type verity struct {
	hash   string
	offset uint64
}

var rootHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parseVerity is nil for a command line that asks for no verified root.
func parseVerity(line string) (*verity, error) {
	hash, asked, err := parameter(line, "mero.roothash")
	if err != nil {
		return nil, err
	}
	kind, typed, err := parameter(line, "mero.rootfs")
	if err != nil {
		return nil, err
	}
	offset, placed, err := parameter(line, "mero.hashoffset")
	if err != nil || !asked && !typed && !placed {
		return nil, err
	}
	v := &verity{hash: hash}
	v.offset, err = strconv.ParseUint(offset, 10, 63)
	if err != nil || v.offset == 0 || kind != "squashfs" || !rootHash.MatchString(hash) {
		return nil, fmt.Errorf("no verified root: mero.rootfs=%q mero.roothash=%q mero.hashoffset=%q", kind, hash, offset)
	}
	return v, nil
}

// roots are the verified root file systems, unpacked once each: mounting a
// squashfs needs a loop device, which a container and a user namespace lack.
type roots struct {
	runner *runner
	dir    string
	mu     sync.Mutex
}

// open verifies every block of the disk's frozen root, at every boot, and
// returns the folder that has its files.
func (r *roots) open(ctx context.Context, disk string, v *verity) (string, error) {
	if err := inDisk(disk, regular); err != nil {
		return "", err
	}
	image := filepath.Join(disk, frozen)
	err := r.runner.run(ctx, "veritysetup", "verify", image, image, v.hash, fmt.Sprintf("--hash-offset=%d", v.offset))
	if err != nil {
		return "", fmt.Errorf("the root file system does not verify: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	dir := filepath.Join(r.dir, v.hash)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	return dir, r.runner.install(ctx, dir, "unsquashfs", "-quiet", "-no-progress", "-dest", dir+partial, image)
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

// regular refuses a frozen root that is a link out of its disk.
func regular(root *os.Root) error {
	for _, name := range []string{"boot", filepath.Dir(frozen), frozen} {
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return fmt.Errorf("/%s is neither a folder nor a file", name)
		}
	}
	return nil
}
