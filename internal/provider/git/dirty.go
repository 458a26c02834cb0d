package git

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Dirty lists the paths that differ from HEAD, or are untracked and not ignored by the commit's own .gitignore files;
// none in a clean tree. What git was told not to look at counts as changed: what its user's configuration or this
// clone alone ignores or converts, modes, and files that are assumed to be unchanged or left out.
func Dirty(ctx context.Context, dir string) ([]string, error) {
	if err := inPlace(ctx, dir); err != nil {
		return nil, err
	}
	paths := map[string]bool{}
	status := []string{"status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no",
		"--ignore-submodules=none"}
	changed := func(entry string) string { return entry[min(len(entry), len("XY ")):] }
	fresh, remove, err := freshIndex(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer remove()
	for _, q := range []struct {
		index    string
		question []string
		path     func(entry string) string // "" where the entry says nothing
	}{
		{"", status, changed},    // what is staged
		{fresh, status, changed}, // what lies there, byte by byte
		{"", []string{"ls-files", "-z", "--full-name", "--others", "--exclude-per-directory=.gitignore", "--", ":/"},
			func(entry string) string { return entry }},
		{"", []string{"ls-files", "-z", "--full-name", "-v", "--", ":/"}, marked},
	} {
		out, err := runWith(ctx, dir, q.index, q.question...)
		if err != nil {
			return nil, err
		}
		for _, entry := range records(out) {
			paths[q.path(entry)] = true
		}
	}
	hiding, err := hidden(ctx, dir)
	for _, path := range hiding {
		paths[path] = true
	}
	delete(paths, "")
	return slices.Sorted(maps.Keys(paths)), err
}

// freshIndex is an index of HEAD in a folder of its own. It remembers no file's time or size, so that git reads all.
func freshIndex(ctx context.Context, dir string) (index string, remove func(), err error) {
	folder, remove, err := file.Temp("git")
	if err != nil {
		return "", nil, err
	}
	index = filepath.Join(folder, "index")
	if _, err := runWith(ctx, dir, index, "read-tree", "HEAD"); err != nil {
		remove()
		return "", nil, err
	}
	return index, remove, nil
}

// hidden are files that no commit holds and that say what git does not see: a .gitignore that ignores itself, and the
// attributes of this clone.
func hidden(ctx context.Context, dir string) (out []string, err error) {
	attributes, err := run(ctx, dir, "rev-parse", "--path-format=absolute", "--git-path", "info/attributes")
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(strings.TrimSuffix(attributes, "\n"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, ".git/info/attributes")
			break
		}
	}
	others, err := run(ctx, dir, "ls-files", "-z", "--full-name", "--others", "--", ":(top,glob)**/.gitignore")
	if err != nil {
		return nil, err
	}
	for _, name := range records(others) {
		ignored, err := committedIgnore(ctx, dir, path.Dir(name))
		if err != nil {
			return nil, err
		}
		if !ignored {
			out = append(out, name)
		}
	}
	return out, nil
}

// committedIgnore says whether a .gitignore above a folder ignores the folder. One that no commit holds is listed
// itself.
func committedIgnore(ctx context.Context, dir, folder string) (bool, error) {
	if folder == "." {
		return false, nil
	}
	out, err := run(ctx, dir, "check-ignore", "-v", "--no-index", "--", ":/"+folder)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return ignoring.MatchString(out), err
}

// ignoring is a line that names a .gitignore, and a pattern in it that ignores: "!" takes back.
var ignoring = regexp.MustCompile(`^"?(?:[^:]*/)?\.gitignore"?:\d+:[^!]`)

// marked is the path of `git ls-files -v` at which git was told not to look ("h", "S"), or that is not merged ("M").
func marked(entry string) string {
	tag, path, _ := strings.Cut(entry, " ")
	if tag == "H" {
		return ""
	}
	return path
}

// inPlace refuses a repository whose configuration (core.worktree) has its files elsewhere than in dir.
func inPlace(ctx context.Context, dir string) error {
	out, err := run(ctx, dir, "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	top := strings.TrimSuffix(out, "\n")
	here, err := filepath.Abs(dir)
	if err == nil {
		here, err = filepath.EvalSymlinks(here)
	}
	if err != nil {
		return err
	}
	if inside, err := filepath.Rel(top, here); err == nil && filepath.IsLocal(inside) {
		return nil
	}
	return &fault.Error{Code: fault.General, Message: "git looks at another folder than this one",
		Expected: here, Got: top, Hint: "git config --unset core.worktree"}
}
