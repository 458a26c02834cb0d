package rehearsal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/release"
)

// writeNotes is what people would have written for the release: the file of the
// repository when there is one, else a statement that it is a rehearsal.
func (w *World) writeNotes(ctx context.Context, c *environment.Checkout, tag release.Tag) error {
	data, err := os.ReadFile(filepath.Join(w.Env.Root, releases.Path(tag)))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = w.statement(ctx, c, tag)
	}
	if err != nil || data == nil {
		return err
	}
	return file.Write(filepath.Join(c.Notes, releases.File(tag)), data, 0o644)
}

func (w *World) statement(ctx context.Context, c *environment.Checkout, tag release.Tag) ([]byte, error) {
	client, err := w.Env.GitHub()
	if err != nil {
		return nil, err
	}
	tags, err := client.Tags(ctx)
	if err != nil {
		return nil, err
	}
	subject := plan.Subject{Tag: tag, Commit: c.Commit, Tags: map[string]string{}}
	for _, t := range tags {
		subject.Tags[t.Name] = t.Commit
	}
	return Statement(ctx, w.Env.Root, subject)
}

// Statement is what a rehearsal writes for a release: every section that its
// class wants says that it is a rehearsal. Nil for a release that cannot be of
// any class, of which the plan will say so.
func Statement(ctx context.Context, root string, s plan.Subject) ([]byte, error) {
	decided, err := plan.Decide(ctx, s, plan.Repository(root))
	if err != nil {
		return nil, nil //nolint:nilerr // nobody could have written anything
	}
	return notes.Statement(s.Tag, decided.Class, "This is a rehearsal: there is nothing to tell.", "REHEARSAL-1", plan.GuardedRoots()...), nil
}
