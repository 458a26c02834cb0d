package actions

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// artifacts are what the jobs of one run, in all its attempts, hand on.
type artifacts struct {
	dir string // a folder for each name

	mu sync.Mutex
}

// Artifact errors, as a workflow meets them.
var (
	ErrExists  = errors.New("an artifact with this name already exists on the workflow run")
	ErrMissing = errors.New("artifact not found for name")
	ErrName    = errors.New("the artifact name is not valid")
)

// upload keeps a folder's files under a name. What a zip does not carry is lost:
// owners, modes, empty folders; what begins with a dot stays behind. A folder
// without files makes no artifact.
func (a *artifacts) upload(name, from string, overwrite bool) error {
	if name == "" || strings.ContainsAny(name, "\":<>|*?\r\n\\/") {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	files, err := visible(from)
	if err != nil || len(files) == 0 {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	to := filepath.Join(a.dir, name)
	if _, err := os.Stat(to); err == nil {
		if !overwrite {
			return fmt.Errorf("%w: %s", ErrExists, name)
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := copyFile(filepath.Join(to, file), filepath.Join(from, file)); err != nil {
			return err
		}
	}
	return nil
}

// visible lists the files of a folder, links followed, without those that are hidden.
func visible(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == dir:
			return nil
		case err != nil:
			return err
		case name != dir && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		out = append(out, rel)
		return err
	})
	return out, err
}

// download puts the artifact of that name into a folder.
func (a *artifacts) download(name, to string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	from := filepath.Join(a.dir, name)
	if _, err := os.Stat(from); name == "" || err != nil {
		return fmt.Errorf("%w: %s", ErrMissing, name)
	}
	files, err := visible(from)
	for _, file := range files {
		err = errors.Join(err, copyFile(filepath.Join(to, file), filepath.Join(from, file)))
	}
	return err
}

// matching are the names of the artifacts that a pattern finds, in their order.
func (a *artifacts) matching(pattern string) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries, err := os.ReadDir(a.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if ok, err := path.Match(pattern, e.Name()); err != nil || ok {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

// copyFile copies the bytes: an artifact's files come back with the mode that everything new has.
func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o644))
}
