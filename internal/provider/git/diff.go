package git

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Status is what became of a path. A rename is a path gone and a path new.
type Status string

// The states.
const (
	Added    Status = "A"
	Modified Status = "M" // its mode too, or from a file to a link
	Deleted  Status = "D"
)

// Branched is what HEAD changed since it left another commit.
type Branched struct {
	From  string // the commit at which it left: files before the change are read there
	Files map[string]Status
}

// SinceBase is what HEAD changed since it left base. A base that is not here,
// or that shares no commit with HEAD, is a usage error.
func SinceBase(ctx context.Context, dir, base string) (*Branched, error) {
	hash, err := resolve(ctx, dir, base)
	if err != nil {
		return nil, unknownBase(base, err)
	}
	if err := whole(ctx, dir); err != nil { // it may end between HEAD and where the two part, and show an older commit
		return nil, err
	}
	out, err := run(ctx, dir, "merge-base", hash, "HEAD")
	if err != nil {
		return nil, unknownBase(base, err)
	}
	b := &Branched{From: strings.TrimSpace(out), Files: map[string]Status{}}
	out, err = run(ctx, dir, "diff-tree", "-r", "-z", "--name-status", "--no-renames", "--no-ext-diff", "--no-relative",
		"--ignore-submodules=none", b.From, "HEAD")
	if err != nil {
		return nil, err
	}
	fields := records(out)
	if len(fields)%2 != 0 {
		return nil, fmt.Errorf("git diff-tree: not pairs of a status and a path: %q", out)
	}
	for i := 0; i < len(fields); i += 2 {
		switch status := Status(fields[i]); status {
		case Added, Deleted:
			b.Files[fields[i+1]] = status
		default:
			b.Files[fields[i+1]] = Modified
		}
	}
	return b, nil
}

func unknownBase(base string, err error) error {
	return &fault.Error{Code: fault.Usage, Message: "the base of the change is not known here", Err: err,
		Expected: "a commit on which HEAD is built", Got: fmt.Sprintf("%q", base),
		Hint: "fetch it: a shallow clone lacks it (git fetch --unshallow origin)"}
}

// maxFile bounds a file that is read at a commit, in bytes.
const maxFile = 4 << 20

// File is a file's content at a commit; fs.ErrNotExist when the commit has no
// such file, or a folder or a link under its name.
func File(ctx context.Context, dir, commit, path string) ([]byte, error) {
	hash, err := resolve(ctx, dir, commit)
	if err != nil {
		return nil, err
	}
	out, err := run(ctx, dir, "ls-tree", "-z", "-l", "--full-tree", hash, "--", path)
	if err != nil {
		return nil, err
	}
	head, name, _ := strings.Cut(strings.TrimSuffix(out, "\x00"), "\t")
	fields := strings.Fields(head) // mode, type, id, size
	if name != path || len(fields) != 4 || fields[1] != "blob" || !strings.HasPrefix(fields[0], "100") {
		return nil, fmt.Errorf("%s at %.12s: %w", path, hash, fs.ErrNotExist)
	}
	if size, err := strconv.ParseInt(fields[3], 10, 64); err != nil || size > maxFile {
		return nil, fmt.Errorf("%s at %.12s: %s bytes, more than the %d allowed", path, hash, fields[3], maxFile)
	}
	out, err = run(ctx, dir, "cat-file", "blob", fields[2])
	return []byte(out), err
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
		"--no-relative", "--ignore-submodules=none", "--diff-algorithm=myers", a, b)
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
