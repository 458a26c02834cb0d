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
