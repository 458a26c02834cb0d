// Package gobuild builds outside programs from the pinned modules under tools/
// into the user's cache.
//
// Its promise: a program is compiled once for its sources, its pinned
// dependencies and its compiler; what is returned was built wholly, for this
// machine, from exactly those; and two processes never build it at the same time.
package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Spec says what to build.
type Spec struct {
	Name     string   // file name of the program, for example "rekor-server"
	Module   string   // directory of the module that pins it
	Package  string   // import path, or "." for the module's own program
	LDFlags  string   // for the linker
	Env      []string // NAME=value, added to the compiler's environment
	CacheDir string   // parent of all built programs; empty means mero-tee/tools in the user's cache
}

// Build returns the path of the program. When it has to compile, it says so in
// one line through log. The working directory, GOFLAGS, GOOS, GOARCH and go.work have no influence.
func Build(ctx context.Context, s Spec, log func(string)) (string, error) {
	path, err := build(ctx, s, log)
	if err != nil {
		return "", &fault.Error{Code: fault.General, Message: "building " + s.Name, Err: err,
			Hint: "Go downloads pinned modules on first use: check `go env GOPROXY` and the network"}
	}
	return path, nil
}

func build(ctx context.Context, s Spec, log func(string)) (string, error) {
	compiler, err := findCompiler(ctx)
	if err != nil {
		return "", err
	}
	key, err := s.key(compiler)
	if err != nil {
		return "", err
	}
	dir, err := s.home(key)
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, s.Name)
	if built(program) {
		return program, nil
	}
	unlock, err := file.Lock(ctx, dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	if built(program) { // by the process that held the lock
		return program, nil
	}
	log(fmt.Sprintf("compiling %s from %s (once: the result is kept in %s)", s.Name, filepath.Base(s.Module), dir))
	return program, s.compile(ctx, compiler, program)
}

func (s Spec) home(key string) (string, error) {
	parent := s.CacheDir
	if parent == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		parent = filepath.Join(cache, "mero-tee", "tools")
	}
	dir := filepath.Join(parent, s.Name+"-"+key)
	return dir, os.MkdirAll(dir, 0o755)
}

func built(program string) bool {
	i, err := os.Stat(program)
	return err == nil && i.Mode().IsRegular()
}

// compile builds beside the final name and renames, so that a kill leaves no half program under it.
func (s Spec) compile(ctx context.Context, c compiler, program string) error {
	scratch, err := os.MkdirTemp(filepath.Dir(program), ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // scratch
	out := filepath.Join(scratch, s.Name)
	cmd := exec.CommandContext(ctx, c.path, append(s.arguments(), "-o", out, s.Package)...)
	cmd.Env = c.environment(s.Env)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go ends its compilers, then itself
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, tail(said.Bytes()))
	}
	return os.Rename(out, program)
}

// arguments are the part of the command line that the key covers.
func (s Spec) arguments() []string {
	return []string{"build", "-C", s.Module, "-trimpath", "-buildvcs=false", "-ldflags=" + s.LDFlags}
}

func tail(b []byte) []byte {
	const most = 2000 // bytes: the last error is what a person needs
	return bytes.TrimSpace(b[max(0, len(b)-most):])
}
