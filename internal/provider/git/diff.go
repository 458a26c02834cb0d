package git

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Changed lists the paths that HEAD adds or modifies since it left base; a
// file that was deleted is not among them.
func Changed(ctx context.Context, dir, base string) ([]string, error) {
	hash, err := resolve(ctx, dir, base)
	if err != nil {
		return nil, err
	}
	out, err := run(ctx, dir, "diff", "--name-only", "-z", "--no-renames", "--diff-filter=d", hash+"...HEAD")
	return records(out), err
}

// Change is a path that differs between two commits, and by how much.
type Change struct {
	Path           string
	Added, Deleted int  // lines; 0 in a binary file
	Binary         bool // git counts no lines
}

// Changes lists what differs between the commits from and to, in path order;
// what was deleted is among it. A rename is a file gone and a file new.
func Changes(ctx context.Context, dir, from, to string) ([]Change, error) {
	a, b, err := ends(ctx, dir, from, to)
	if err != nil {
		return nil, err
	}
	// The plumbing command: diff.* of the user's configuration does not reach it.
	out, err := run(ctx, dir, "diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv",
		"--no-relative", "--diff-algorithm=myers", a, b)
	if err != nil {
		return nil, err
	}
	return parseNumstat(out)
}

func parseNumstat(out string) ([]Change, error) {
	var changes []Change
	for _, record := range records(out) {
		fields := strings.SplitN(record, "\t", 3)
		if len(fields) != 3 || fields[2] == "" {
			return nil, fmt.Errorf("git diff-tree: not a count and a path: %q", record)
		}
		c := Change{Path: fields[2], Binary: fields[0] == "-" && fields[1] == "-"}
		if !c.Binary {
			var errs [2]error
			c.Added, errs[0] = strconv.Atoi(fields[0])
			c.Deleted, errs[1] = strconv.Atoi(fields[1])
			if errs[0] != nil || errs[1] != nil || c.Added < 0 || c.Deleted < 0 {
				return nil, fmt.Errorf("git diff-tree: not a count of lines: %q", record)
			}
		}
		changes = append(changes, c)
	}
	return changes, nil
}
