package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/calimero-network/mero-tee/internal/base/check"
)

// reader gives a file of the repository by its path in it.
type reader func(path string) ([]byte, error)

// ofCommit judges what was released by the files that people reviewed in its
// commit: judge reads those that it needs. A work tree with files by which it
// stands is as good: a rehearsal releases changes that are not committed.
func (a *auditor) ofCommit(ctx context.Context, name, commit string, judge func(read reader) error) check.Result {
	if a.Sources == nil {
		return check.Unseen(name, "there is no clone of the repository", "verify in a clone of "+a.Repository)
	}
	if judge(a.Sources.Here) == nil {
		return check.Pass(name)
	}
	unseen := false
	err := judge(func(path string) ([]byte, error) {
		data, err := a.Sources.At(ctx, commit, path)
		unseen = unseen || errors.Is(err, fs.ErrNotExist)
		return data, err
	})
	if unseen {
		return check.Unseen(name,
			fmt.Sprintf("commit %.12s is not in this clone, and this work tree's files are others", commit),
			"git fetch --unshallow --tags, and verify again")
	}
	return check.Of(name, err)
}
