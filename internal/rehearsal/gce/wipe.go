package gce

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// wipe deletes a disk's folder, or nothing when it is not there.
func (s *Server) wipe(folder string) error {
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := unmounted(folder); err != nil {
		return err
	}
	if r, ok := s.options.Hosts.(Remover); ok {
		return r.Remove(s.ctx, folder)
	}
	return os.RemoveAll(folder)
}

// unmounted refuses a folder below which something is still mounted: a machine
// that was killed may have left the host's /dev there, and what is removed
// through a mount is gone from the host.
func unmounted(folder string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not Linux: machines mount nothing
	}
	if err != nil {
		return err
	}
	there := " " + strings.ReplaceAll(folder, " ", `\040`)
	if bytes.Contains(mounts, []byte(there+"/")) || bytes.Contains(mounts, []byte(there+" ")) {
		return fmt.Errorf("something is still mounted at or below %s", folder)
	}
	return nil
}
