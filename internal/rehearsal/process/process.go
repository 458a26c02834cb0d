// Package process keeps what the rehearsal starts from outliving it.
//
// Its promise: what a program started that Confine was given can be ended with
// it, and a folder that Folder made is removed once its process is
// gone, kill -9 included, and never before.
package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Folder makes a folder in dir that carries this process's id, and has those
// removed whose process is gone. Every user may read through it, whatever the
// umask: what runs in it runs as somebody else.
func Folder(dir string, remove func(old string) error) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	old, err := file.Glob(dir, "run-*-*")
	if err != nil {
		return "", err
	}
	for _, o := range old {
		if !alive(filepath.Base(o)) {
			if err := remove(o); err != nil {
				return "", err
			}
		}
	}
	run, err := os.MkdirTemp(dir, fmt.Sprintf("run-%d-*", os.Getpid()))
	if err != nil {
		return "", err
	}
	return run, os.Chmod(run, 0o755)
}

// alive tells whether the process that a run folder is named after exists.
func alive(dir string) bool {
	pid, err := strconv.Atoi(strings.Split(dir, "-")[1])
	if err != nil || pid <= 0 {
		return false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
