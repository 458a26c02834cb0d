package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// newRunDir makes a folder that carries this process's id and removes those
// whose process is gone: what kill -9 left.
func newRunDir(ctx context.Context, r *runner, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	old, err := filepath.Glob(filepath.Join(dir, "run-*-*"))
	if err != nil {
		return "", err
	}
	for _, o := range old {
		if !alive(filepath.Base(o)) {
			if err := r.remove(ctx, o); err != nil {
				return "", err
			}
		}
	}
	run, err := os.MkdirTemp(dir, fmt.Sprintf("run-%d-*", os.Getpid()))
	if err != nil {
		return "", err
	}
	return run, os.Chmod(run, 0o755) //nolint:gosec // a machine's users read its files through it
}

// alive says whether the process that a run folder is named after exists.
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
