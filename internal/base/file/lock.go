package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Lock waits until this process alone may work in dir. If it has to wait, it says
// so once through waiting, unless that is nil.
func Lock(ctx context.Context, dir string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for TryLock(f) != nil {
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("another process works in %s: %w", dir, ctx.Err())
		case <-again.C:
		}
	}
	return func() { _ = f.Close() }, nil
}

// TryLock takes the lock of an open file until the file is closed, or says at once that another process holds it.
func TryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
