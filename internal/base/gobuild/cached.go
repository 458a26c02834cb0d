package gobuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/digest"
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

// Build returns the path of the program. When it has to compile, it says so
// through log, and then every ten seconds that it still does; when somebody else
// compiles it, once. The working directory, GOFLAGS, GOOS, GOARCH and go.work have
// no influence.
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
	unlock, err := file.Lock(ctx, dir, func() { log("waiting for " + s.Name + ", which is being compiled") })
	if err != nil {
		return "", err
	}
	defer unlock()
	if built(program) { // by the process that held the lock
		return program, nil
	}
	log(fmt.Sprintf("compiling %s from %s (once: the result is kept in %s)", s.Name, filepath.Base(s.Module), dir))
	work := func() { err = s.compile(ctx, compiler, program) }
	console.While(work, console.Heartbeat, func(took time.Duration) {
		log(fmt.Sprintf("still compiling %s: %.0f s", s.Name, took.Seconds()))
	})
	return program, err
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
	scratch := filepath.Join(filepath.Dir(program), ".build") // of who holds the lock; a killed one left it
	if err := errors.Join(os.RemoveAll(scratch), os.Mkdir(scratch, 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	out := filepath.Join(scratch, s.Name)
	if err := c.build(ctx, out, s.Package, arguments(s.Module, s.LDFlags), s.Env); err != nil {
		return err
	}
	return os.Rename(out, program)
}

// key names a build: the same key means the same program.
func (s Spec) key(c compiler) (string, error) {
	h := sha256.New()
	arguments := arguments("", s.LDFlags) // where the module lies does not change what is built
	fmt.Fprintf(h, "%q %q %q %q %q %q\n", c.version, c.os, c.arch, arguments, s.Package, s.Env)
	found := false
	err := filepath.WalkDir(s.Module, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != s.Module && skipped(d) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		found = found || path == filepath.Join(s.Module, "go.mod")
		return hashFile(h, s.Module, path)
	})
	if err != nil {
		return "", err
	}
	if !found {
		return "", fmt.Errorf("%s is not the root of a Go module", s.Module)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// skipped are files that no build reads.
func skipped(d fs.DirEntry) bool {
	return strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") ||
		strings.HasSuffix(d.Name(), "_test.go") || d.Name() == "testdata"
}

func hashFile(h io.Writer, root, path string) error {
	name, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	sum, _, err := digest.OfFile(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(h, "%s %q\n", sum.Hex(), filepath.ToSlash(name))
	return err
}
