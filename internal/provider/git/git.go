// Package git asks the git program about one work tree: what is at HEAD, what
// is not committed, what happened since a tag.
//
// Its promise: no shell, no network, no change to the repository, and answers
// that do not depend on the user's configuration or language.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const (
	deadline  = time.Minute
	maxOutput = 64 << 20 // bytes: a log of some 100,000 commits
)

// Commit names a commit and the moment it was made (UTC): the epoch of everything built from it.
type Commit struct {
	Hash string // 40 hex digits
	Time time.Time
}

// Head is the commit that is checked out in dir.
func Head(ctx context.Context, dir string) (Commit, error) {
	out, err := run(ctx, dir, "log", "-1", "--no-show-signature", "--format=%H %ct", "HEAD")
	if err != nil {
		return Commit{}, err
	}
	hash, seconds, _ := strings.Cut(strings.TrimSpace(out), " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Commit{}, fmt.Errorf("git log: no time in %q", out)
	}
	return Commit{Hash: hash, Time: time.Unix(unix, 0).UTC()}, nil
}

// Dirty lists the paths that differ from HEAD or are untracked and not ignored; none in a clean tree.
func Dirty(ctx context.Context, dir string) ([]string, error) {
	out, err := run(ctx, dir, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range records(out) {
		if len(entry) > 3 {
			paths = append(paths, entry[3:]) // after "XY "
		}
	}
	return paths, nil
}

// Tags lists the tags that lead to HEAD, by name.
func Tags(ctx context.Context, dir string) ([]string, error) {
	head, err := resolve(ctx, dir, "HEAD")
	if err != nil {
		return nil, err
	}
	commits, err := TagCommits(ctx, dir)
	maps.DeleteFunc(commits, func(_, commit string) bool { return commit != head })
	return slices.Sorted(maps.Keys(commits)), err
}

// resolve turns a revision into a commit's hash, so that no later argument can be taken for an option.
func resolve(ctx context.Context, dir, rev string) (string, error) {
	out, err := run(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if err != nil {
		return "", &fault.Error{Code: fault.General, Message: "no such commit here", Got: fmt.Sprintf("%q", rev), Err: err,
			Hint: "a shallow clone lacks older tags: git fetch --unshallow --tags"}
	}
	return strings.TrimSpace(out), nil
}

// ends resolves the two revisions between which something is asked for.
func ends(ctx context.Context, dir, from, to string) (base, tip string, err error) {
	if base, err = resolve(ctx, dir, from); err == nil {
		tip, err = resolve(ctx, dir, to)
	}
	return base, tip, err
}

func records(out string) []string {
	if out = strings.TrimSuffix(out, "\x00"); out == "" {
		return nil
	}
	return strings.Split(out, "\x00")
}

func run(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git",
		append([]string{"-C", dir, "-c", "core.fsmonitor=false", "-c", "color.ui=false"}, args...)...)
	cmd.Env = append(environment(os.Environ()),
		"LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_PAGER=cat")
	stdout, stderr := &bounded{limit: maxOutput}, &bounded{limit: 4 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if stdout.over {
		return "", fmt.Errorf("git %s: more than %d bytes of output", args[0], maxOutput)
	}
	var missing *exec.Error
	switch {
	case errors.As(err, &missing):
		return "", &fault.Error{Code: fault.General, Message: "git is needed", Err: err}
	case ctx.Err() != nil:
		return "", fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
	case err != nil:
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// localVariables are those with which git names a repository to its children, as it does in a hook: what
// `git rev-parse --local-env-vars` lists (git 2.39 and 2.53), and GIT_CEILING_DIRECTORIES and
// GIT_DISCOVERY_ACROSS_FILESYSTEM, which decide where one is looked for.
var localVariables = []string{"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CEILING_DIRECTORIES", "GIT_COMMON_DIR",
	"GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_DISCOVERY_ACROSS_FILESYSTEM",
	"GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE",
	"GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REF_STORAGE_FORMAT",
	"GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE"}

// environment is what git may know of ours, so that dir alone says which repository is asked.
func environment(ours []string) []string {
	return slices.DeleteFunc(ours, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(localVariables, name)
	})
}

// bounded keeps the first bytes of an output and remembers that there were more.
type bounded struct {
	bytes.Buffer
	limit int
	over  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); len(p) > room {
		b.over = true
		b.Buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
