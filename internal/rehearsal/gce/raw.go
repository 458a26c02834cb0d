package gce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A disk that was made blank, an image of one and a disk of such an image are raw
// files: as long as the disk is, and with holes where nobody wrote. What is an
// image's cannot be written to; a disk of it is a second name of the same file
// until a machine may write to it.

const (
	raw      = ".raw"
	archive  = ".tar"
	readOnly = 0o444
	gigabyte = 1 << 30 // the API's: "base-2 GB"
)

// rawOf is a disk's or an image's raw file, if it is kept as one.
func (s *Server) rawOf(r resource) (path string, ok bool) {
	path = s.file(r, raw)
	info, err := os.Lstat(path)
	return path, err == nil && info.Mode().IsRegular()
}

// blank makes a file of nothing but a hole.
func blank(path string, size int64) error {
	return whole(path, 0o644, func(f *os.File) error { return f.Truncate(size) })
}

// share gives an image's file a second name, or copies it where a link cannot reach.
func share(ctx context.Context, path, from string) error {
	if err := os.Link(from, path); err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	return copyRaw(ctx, path, from, 0o644)
}

// own makes a disk's file one that a machine may write to.
func own(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != readOnly {
		return err
	}
	return copyRaw(ctx, path, path, 0o644)
}

// step bounds what is copied before the next look at the context.
const step = 64 << 20

// copyRaw copies a file with its holes, wholly or not at all.
func copyRaw(ctx context.Context, path, from string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := in.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return whole(path, mode, func(out *os.File) error {
		if err := out.Truncate(size); err != nil {
			return err
		}
		for at := int64(0); at < size; {
			begin, end, err := extent(in, at, size)
			if err != nil {
				return err
			}
			at = begin
			for at < end && err == nil {
				n := min(step, end-at)
				err = errors.Join(ctx.Err(), copyAt(out, in, at, n))
				at += n
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// copyAt copies n bytes to the same place; the kernel does it where it can.
func copyAt(out, in *os.File, at, n int64) error {
	for _, f := range []*os.File{in, out} {
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return err
		}
	}
	if _, err := io.CopyN(out, in, n); err != nil {
		return fmt.Errorf("copying %d bytes at %d: %w", n, at, err)
	}
	return nil
}

// whole makes a file by a temporary one. It is not flushed: what this server
// promises is about a killed process, not about a machine that loses its power.
func whole(path string, mode os.FileMode, fill func(*os.File) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), remove(f.Name()))
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return f.Close()
}
