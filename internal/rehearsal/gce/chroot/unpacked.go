package chroot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// unpacked keeps the files of images with a verified root, by image. Nothing
// ever writes to the disk of such a machine, whose root is the frozen one, so a
// disk is made of hard links: 0.3 s instead of 5 for 430 MB (2 cores, 2026-11-25).
type unpacked struct {
	runner *runner
	dir    string

	mu    sync.Mutex
	locks map[string]*sync.Mutex
}

// lock makes the first disk of an image be unpacked once, however many want one.
func (u *unpacked) lock(key string) func() {
	u.mu.Lock()
	if u.locks == nil {
		u.locks = map[string]*sync.Mutex{}
	}
	l := u.locks[key]
	if l == nil {
		l = &sync.Mutex{}
		u.locks[key] = l
	}
	u.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// key names an image file as it is now.
func (u *unpacked) key(image string) (string, error) {
	info, err := os.Stat(image)
	if err != nil {
		return "", err
	}
	id, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("no file identity on this system")
	}
	return fmt.Sprintf("%d-%d-%d-%d", id.Dev, id.Ino, info.Size(), info.ModTime().UnixNano()), nil
}

// find links the image's files into the new folder to; false when they are not kept.
func (u *unpacked) find(ctx context.Context, key, to string) (bool, error) {
	kept := filepath.Join(u.dir, key)
	if _, err := os.Lstat(kept); err != nil {
		return false, nil //nolint:nilerr // not kept
	}
	return true, u.runner.run(ctx, "cp", "--archive", "--link", "--no-target-directory", kept, to)
}

// keep remembers a disk that was unpacked whole, when it has a verified root.
func (u *unpacked) keep(ctx context.Context, key, disk string) error {
	if _, err := os.Lstat(filepath.Join(disk, frozen)); err != nil {
		return nil //nolint:nilerr // its machine writes to it
	}
	kept := filepath.Join(u.dir, key)
	partial := kept + ".tmp"
	if err := errors.Join(u.runner.remove(ctx, partial), os.MkdirAll(u.dir, 0o755)); err != nil {
		return err
	}
	if err := u.runner.run(ctx, "cp", "--archive", "--link", "--no-target-directory", disk, partial); err != nil {
		return err
	}
	return os.Rename(partial, kept)
}
