// Package pidfd waits for processes that are no children of this one, for
// tests of what a kill leaves behind.
//
// Its promise: it never takes another process, which got the same id
// meanwhile, for the one that was watched.
package pidfd

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one that is watched. Close it.
type Process struct{ fd int }

// Open watches a process that exists.
func Open(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	return &Process{fd}, nil
}

// Wait returns nil once the process has ended, and os.ErrDeadlineExceeded when
// it has not after patience.
func (p *Process) Wait(patience time.Duration) error {
	ended := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}} //nolint:gosec // descriptors are small
	for {
		n, err := unix.Poll(ended, int(patience.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err == nil && n == 0:
			return os.ErrDeadlineExceeded
		default:
			return err
		}
	}
}

// Close stops watching.
func (p *Process) Close() error { return unix.Close(p.fd) }
