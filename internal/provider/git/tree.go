package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Tree is the work tree in a folder, as a place to read the repository's own files.
type Tree string

// Clone checks a commit out into the folder to, which must not exist yet: what the
// commit holds and nothing else of the work tree in dir. The error wraps
// fs.ErrNotExist where the commit is not in dir's clone.
func Clone(ctx context.Context, dir, commit, to string) (Commit, error) {
	hash, err := resolve(ctx, dir, commit)
	if err != nil {
		return Commit{}, errors.Join(err, fs.ErrNotExist)
	}
	source, err := filepath.Abs(dir)
	if err != nil {
		return Commit{}, err
	}
	// Shared: the objects stay where they are, and the clone lives as long as its caller.
	if _, err := run(ctx, dir, "clone", "--quiet", "--shared", "--no-checkout", "--", source, to); err != nil {
		return Commit{}, err
	}
	if _, err := run(ctx, to, "-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "--detach", hash); err != nil {
		return Commit{}, err
	}
	return Head(ctx, to)
}

// At reads a file as a commit has it. The error wraps fs.ErrNotExist where the
// commit is not in this clone, or has no such file: see File.
func (t Tree) At(ctx context.Context, commit, path string) ([]byte, error) {
	hash, err := resolve(ctx, string(t), commit)
	if err != nil {
		return nil, errors.Join(err, fs.ErrNotExist)
	}
	return File(ctx, string(t), hash, path)
}

// Here reads a file as it lies in the work tree, committed or not.
func (t Tree) Here(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(t), filepath.FromSlash(path)))
}
