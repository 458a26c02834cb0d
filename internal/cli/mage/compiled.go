package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/magefile/mage/mage"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// compiled is the program of the targets, of the files as they are now: from an
// earlier command of this clone, if nothing has moved since and nobody forces it, or
// compiled. Mage asks the compiler each time, which takes a second to find that
// nothing moved.
func compiled(inv mage.Invocation) (program string, code int, err error) {
	folder, err := home(inv)
	if err != nil {
		return "", 0, err
	}
	state, err := fingerprint(inv)
	if err != nil {
		return "", 0, err
	}
	program, now := filepath.Join(folder, "mage-"+state), time.Now()
	if !inv.Force && os.Chtimes(program, now, now) == nil { // it is there, and in use: see forget
		return program, 0, nil
	}
	compile := inv
	compile.CompileOut = program + "." + strconv.Itoa(os.Getpid()) + ".new"
	defer os.Remove(compile.CompileOut) // of a compilation that failed
	if code := sharing(func() int { return told(inv.Stderr, func() int { return mage.Invoke(compile) }) }); code != 0 {
		return "", code, nil
	}
	if err := os.Rename(compile.CompileOut, program); err != nil {
		return "", 0, err
	}
	return program, 0, forget(folder, now)
}

// home is where the programs of this clone are kept: two clones with the same
// magefiles share nothing, for what the magefiles import is not the same.
func home(inv mage.Invocation) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root, err := filepath.Abs(inv.Dir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(root))
	folder := filepath.Join(cache, "mero-tee", "targets", hex.EncodeToString(sum[:8]))
	return folder, os.MkdirAll(folder, 0o755)
}

// settings are those of Go that decide what is compiled; the first is the file of the module that the targets are of.
var settings = []string{"GOMOD", "GOVERSION", "GOROOT", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOFLAGS",
	"GOEXPERIMENT", "GOWORK", "GOMODCACHE", "GOTOOLCHAIN"}

// fingerprint stands for the compiler, its settings, and the name, size and time
// of every file of the module, which the targets may import, but git's and what
// releases leave in dist. go.sum fixes the modules that are not in it.
func fingerprint(inv mage.Invocation) (string, error) {
	ask := exec.CommandContext(context.Background(), inv.GoCmd, append([]string{"env"}, settings...)...)
	ask.Dir = inv.Dir
	said, err := ask.Output()
	if err != nil {
		return "", fmt.Errorf("%s env: %w", inv.GoCmd, err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", said)
	module, _, _ := strings.Cut(string(said), "\n")
	if filepath.Base(module) != "go.mod" { // targets without a module
		module = filepath.Join(inv.Dir, "go.mod")
	}
	if err := add(h, filepath.Dir(module), map[string]bool{}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// add writes what a folder holds, behind links too; each folder once.
func add(h hash.Hash, folder string, seen map[string]bool) error {
	at, err := filepath.EvalSymlinks(folder)
	if err != nil || seen[at] {
		return err
	}
	seen[at] = true
	return filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && filepath.Dir(path) == at && (d.Name() == ".git" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) { // a link to nothing, or gone meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		if info.IsDir() {
			if d.Type()&fs.ModeSymlink != 0 {
				return add(h, path, seen)
			}
			return nil
		}
		fmt.Fprintf(h, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		return nil
	})
}

// How long a program stays that nobody runs: of this clone's earlier files, and of other clones.
const (
	ownAge   = time.Hour
	otherAge = 7 * 24 * time.Hour
)

// forget removes programs that were not run for a while: each is 70 MB.
func forget(folder string, now time.Time) error {
	programs, err := file.Glob(filepath.Dir(folder), "*/mage-*")
	for _, p := range programs {
		limit := otherAge
		if filepath.Dir(p) == folder {
			limit = ownAge
		}
		info, gone := os.Stat(p)
		if gone != nil || now.Sub(info.ModTime()) <= limit {
			continue
		}
		if end := os.Remove(p); end != nil && !errors.Is(end, fs.ErrNotExist) {
			err = errors.Join(err, end)
		}
		_ = os.Remove(filepath.Dir(p)) // when it is empty
	}
	return err
}
