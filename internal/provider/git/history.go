package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Descends says whether commit is from or comes after it.
func Descends(ctx context.Context, dir, commit, from string) (bool, error) {
	ancestor, descendant, err := lineage(ctx, dir, from, commit)
	if err != nil {
		return false, err
	}
	_, err = run(ctx, dir, "merge-base", "--is-ancestor", ancestor, descendant)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}

// MainWork lists the commits that to has and from has not, and that the branch main has too, however they came there:
// a first-parent line tells nothing, since merging main into a branch and moving main to the result turns it. The
// newest come first.
func MainWork(ctx context.Context, dir, from, to string) ([]string, error) {
	base, tip, err := lineage(ctx, dir, from, to)
	if err != nil {
		return nil, err
	}
	mains, err := mainTips(ctx, dir)
	if err != nil {
		return nil, err
	}
	args := []string{"rev-list", "--topo-order", tip, "^" + base}
	all, err := run(ctx, dir, args...)
	if err != nil {
		return nil, err
	}
	for _, main := range mains {
		args = append(args, "^"+main)
	}
	out, err := run(ctx, dir, args...)
	if err != nil {
		return nil, err
	}
	own := strings.Fields(out)
	return slices.DeleteFunc(strings.Fields(all), func(hash string) bool { return slices.Contains(own, hash) }), nil
}

// mainTips is main as the origin has it and as it is here; the one may be ahead of the other.
func mainTips(ctx context.Context, dir string) ([]string, error) {
	out, err := run(ctx, dir, "for-each-ref", "--format=%(objectname)", "refs/remotes/origin/main", "refs/heads/main")
	if err != nil {
		return nil, err
	}
	if tips := strings.Fields(out); len(tips) > 0 {
		return tips, nil
	}
	return nil, &fault.Error{Code: fault.General, Message: "no branch main here, so its work cannot be told from a hotfix",
		Expected: "origin/main or main", Got: "neither", Hint: "git fetch origin main:refs/remotes/origin/main"}
}

// lineage is ends where the whole history between them is here.
func lineage(ctx context.Context, dir, from, to string) (base, tip string, err error) {
	if base, tip, err = ends(ctx, dir, from, to); err == nil {
		err = whole(ctx, dir)
	}
	return base, tip, err
}

// whole refuses a shallow clone: where it ends, ancestors look unrelated.
func whole(ctx context.Context, dir string) error {
	out, err := run(ctx, dir, "rev-parse", "--is-shallow-repository")
	if err == nil && strings.TrimSpace(out) != "false" {
		return &fault.Error{Code: fault.General, Message: "a shallow clone does not show what descends from what",
			Expected: "the whole history", Got: "a shallow clone",
			Hint: "git fetch --unshallow --tags; in a workflow, fetch-depth: 0"}
	}
	return err
}

// LastChange is when a file of the work tree was changed last, by HEAD's history: the commit's time.
func LastChange(ctx context.Context, dir, path string) (time.Time, error) {
	if err := whole(ctx, dir); err != nil {
		return time.Time{}, err
	}
	out, err := run(ctx, dir, "log", "-1", "--no-show-signature", "--format=%ct", "HEAD", "--", ":(top,literal)"+path)
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("no commit of HEAD's history changed %s", path)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// TagCommits lists the repository's tags with the commit each leads to; a tag of
// anything else is left out.
func TagCommits(ctx context.Context, dir string) (map[string]string, error) {
	out, err := run(ctx, dir, "for-each-ref",
		"--format=%(refname:strip=2) %(objecttype) %(objectname) %(*objecttype) %(*objectname)", "refs/tags")
	if err != nil {
		return nil, err
	}
	commits := map[string]string{}
	for line := range strings.Lines(out) {
		name, commit, err := tagCommit(ctx, dir, strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, err
		}
		if commit != "" {
			commits[name] = commit
		}
	}
	return commits, nil
}

// tagCommit reads a line of TagCommits. Its one separator is the ASCII space,
// which git allows in no name, as it does allow every other white space of Unicode.
func tagCommit(ctx context.Context, dir, line string) (name, commit string, err error) {
	fields := strings.Split(line, " ")
	if len(fields) != 5 {
		return "", "", fmt.Errorf("git for-each-ref: not five fields: %q", line)
	}
	switch name = fields[0]; {
	case fields[1] == "commit":
		commit = fields[2]
	case fields[3] == "commit":
		commit = fields[4]
	case fields[3] == "tag": // git follows one tag to the next since 2.45
		out, err := run(ctx, dir, "rev-parse", "--verify", "--end-of-options", "refs/tags/"+name+"^{}")
		if err != nil {
			return "", "", err
		}
		hash := strings.TrimSuffix(out, "\n")
		kind, err := run(ctx, dir, "cat-file", "-t", hash)
		if strings.TrimSuffix(kind, "\n") == "commit" {
			commit = hash
		}
		return name, commit, err
	}
	return name, commit, nil
}
