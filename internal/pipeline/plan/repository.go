package plan

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// Repository is the history of the git work tree at this path.
type Repository string

// Descends asks git.
func (r Repository) Descends(ctx context.Context, commit, from string) (bool, error) {
	return git.Descends(ctx, string(r), commit, from)
}

// MainWork asks git about origin/main and main.
func (r Repository) MainWork(ctx context.Context, from, to string) ([]string, error) {
	return git.MainWork(ctx, string(r), from, to)
}

// Changes asks git.
func (r Repository) Changes(ctx context.Context, from, to string) ([]git.Change, error) {
	return git.Changes(ctx, string(r), from, to)
}
