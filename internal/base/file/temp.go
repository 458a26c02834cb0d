package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	tempPattern = "mero-tee-run-*" // short: some folders have sockets in them
	tempLock    = "lock"
)

// Temp makes a folder of this process, in the temporary directory and with this name, which remove deletes. A process
// that is killed deletes nothing, so first those go that an earlier one left: the lock beside a folder goes with its
// process.
func Temp(name string) (dir string, remove func(), err error) {
	sweepTemp(os.TempDir())
	parent, err := os.MkdirTemp("", tempPattern)
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(parent, name)
	lock, err := ownTemp(parent)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("a temporary folder: %w", err), os.RemoveAll(parent))
	}
	return dir, func() {
		_ = os.RemoveAll(parent) // what stays, the next one finds
		_ = lock.Close()
	}, nil
}

// ownTemp puts a lock into a folder, under its name only when it is held: without one nobody takes the folder for left.
func ownTemp(parent string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(parent, "."+tempLock), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(TryLock(lock), os.Rename(lock.Name(), filepath.Join(parent, tempLock))); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// sweepTemp removes our user's folders in dir whose process is gone. It is done
// by the way: what cannot be removed now is left for the next time.
func sweepTemp(dir string) {
	locks, _ := Glob(dir, tempPattern+"/"+tempLock)
	for _, path := range locks {
		if lock := abandoned(path); lock != nil {
			_ = os.RemoveAll(filepath.Dir(path))
			_ = lock.Close()
		}
	}
}

// abandoned takes the lock of a folder that is our user's and that no process holds; nil for every other.
func abandoned(path string) *os.File {
	for _, owned := range []string{path, filepath.Dir(path)} {
		info, err := os.Lstat(owned)
		if err != nil || info.Mode().Type() != 0 && !info.IsDir() {
			return nil
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
			return nil
		}
	}
	lock, err := os.Open(path)
	if err != nil {
		return nil
	}
	if TryLock(lock) != nil {
		_ = lock.Close()
		return nil
	}
	return lock
}
