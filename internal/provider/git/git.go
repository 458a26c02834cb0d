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

// asIs has git take files for what they are, whatever the user likes: the ends of their lines, links, names that differ
// in case alone, and attributes that no commit holds.
var asIs = strings.Fields("-c core.autocrlf=false -c core.eol=lf -c core.safecrlf=false -c core.symlinks=true " +
	"-c core.ignoreCase=false -c core.fileMode=true -c core.attributesFile=" + os.DevNull)

func run(ctx context.Context, dir string, args ...string) (string, error) {
	return runWith(ctx, dir, "", args...)
}

// runWith is run with another index than the repository's; "" is its own.
func runWith(ctx context.Context, dir, index string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git",
		slices.Concat([]string{"-C", dir, "-c", "core.fsmonitor=false", "-c", "color.ui=false"}, asIs, args)...)
	cmd.Env = slices.Concat(Environment(), asCommitted,
		[]string{"LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_PAGER=cat"})
	if index != "" {
		cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+index)
	}
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

// kept are the variables of git's that say where git itself and its user's configuration lie. Every other one stays
// outside: what `git rev-parse --local-env-vars` lists names a repository to children, as a hook does, others say how
// paths are read (GIT_LITERAL_PATHSPECS) or what is left out (GIT_ATTR_SOURCE), and later versions know more.
var kept = []string{"GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_EXEC_PATH"}

// Environment is what git may know of this process's own, so that the folder in which it runs alone says which
// repository is asked: for whoever runs git for something that this package does not do.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "GIT_") && !slices.Contains(kept, name)
	})
}

// asCommitted has git read history as its commits were made: a clone may replace some of them by others
// (refs/replace), or give them other parents (info/grafts), and fetch what it lacks from who knows where.
var asCommitted = []string{"GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE=" + os.DevNull, "GIT_NO_LAZY_FETCH=1"}

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
