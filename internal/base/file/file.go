// Package file reads and writes files and takes locks on them.
//
// Its promise: after a crash at any instant a reader sees the old bytes or the
// new bytes, never a part, and nothing else is left under the final name. What is
// read has a limit. A lock has one holder at a time, and the kernel drops the
// lock of a process that dies.
package file

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// Write replaces path with data: temporary file, fsync, rename, fsync of the folder.
func Write(path string, data []byte, mode os.FileMode) error {
	return Stream(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// ErrTooLarge is of something that holds more than its reader takes.
var ErrTooLarge = errors.New("larger than allowed")

// ReadAll reads r to its end; ErrTooLarge when that is more than limit bytes.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return data, err
}

// Read is ReadAll of a regular file: a pipe could keep its reader waiting for ever.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, cmp.Or(err, fmt.Errorf("%s is not a regular file", path))
	}
	data, err := ReadAll(f, limit)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return data, err
}

// Copy replaces path with the bytes of another file.
func Copy(path, from string, mode os.FileMode) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return From(path, f, mode)
}

// From replaces path with all that r yields.
func From(path string, r io.Reader, mode os.FileMode) error {
	return Stream(path, mode, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// Stream is Write for content that is produced piece by piece.
func Stream(path string, mode os.FileMode, produce func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := produce(f); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// Glob lists what matches a pattern below dir: the names of dir itself are no pattern, whatever is in them.
func Glob(dir, pattern string) ([]string, error) {
	names, err := fs.Glob(os.DirFS(dir), pattern)
	for i, name := range names {
		names[i] = filepath.Join(dir, filepath.FromSlash(name))
	}
	return names, err
}

// unfinished is what Stream leaves when the process is killed in the middle.
var unfinished = regexp.MustCompile(`^\..+\.[0-9]+\.tmp$`)

// Sweep removes what killed processes left unfinished in dir and below it, where nobody else writes meanwhile. It goes
// on after an error and returns all of them.
func Sweep(dir string) error {
	var failed []error
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && unfinished.MatchString(entry.Name()) {
			err = os.Remove(path)
		}
		failed = append(failed, err)
		return nil
	})
	return errors.Join(append(failed, err)...)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
