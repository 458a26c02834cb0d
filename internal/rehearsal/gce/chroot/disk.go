package chroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Unpack makes the folder disk out of the image, an uncompressed tar: numeric
// owners, permissions, hard links, capabilities; device nodes are the
// platform's. After a crash the folder exists whole or not at all.
func (h *Host) Unpack(ctx context.Context, image, disk string) (err error) {
	if _, err := os.Lstat(disk); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("disk %s: %w", disk, errors.Join(os.ErrExist, err))
	}
	parent := filepath.Dir(disk)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	partial, err := os.MkdirTemp(parent, "."+filepath.Base(disk)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Remove(context.WithoutCancel(ctx), partial))
		}
	}()
	if err := os.Chmod(partial, 0o755); err != nil { // what a root folder has when the tar does not say
		return err
	}
	if err := h.fill(ctx, image, partial); err != nil {
		return err
	}
	return os.Rename(partial, disk)
}

// fill makes a layer over the image's files, or puts them all there where this
// machine knows no layers.
func (h *Host) fill(ctx context.Context, image, dir string) error {
	if h.bases.usable() {
		return h.bases.layer(ctx, image, dir)
	}
	return h.runner.run(ctx, unpack(image, dir)...)
}

// unpack is the program that puts an image's files into a folder.
func unpack(image, dir string) []string {
	return []string{"tar", "--extract", "--file", image, "--directory", dir, "--numeric-owner", "--same-owner",
		"--preserve-permissions", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"}
}

// Capture writes the folder disk to the image: one file system, sorted, the
// same bytes for the same files. The machine that wrote it must have ended.
func (h *Host) Capture(ctx context.Context, disk, image string) (err error) {
	disk, done, err := h.flat(ctx, disk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := allowServices(disk); err != nil {
		return err
	}
	return file.Stream(image, 0o644, func(w io.Writer) error {
		return h.runner.stream(ctx, w, "tar", "--create", "--file=-", "--directory", disk, "--one-file-system",
			"--sort=name", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--format=posix",
			"--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime", ".")
	})
}
