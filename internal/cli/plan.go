package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Plan writes of which class a release of this commit would be, which rules
// follow, what it lacks, and its steps. It changes nothing.
func Plan(ctx context.Context, w io.Writer, tag *string) error {
	return report("release:plan", printPlan(ctx, w, Value(tag)))
}

func printPlan(ctx context.Context, w io.Writer, flag string) error {
	p, cfg, tag, err := asked(familyOf("release:plan", flag), flag)
	if err != nil {
		return err
	}
	decided, err := p.prepare(ctx, cfg, tag)
	if err != nil {
		return err
	}
	if err := decided.Write(w); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(w)
	return planOf(tag.Family).Plan(w)
}

// prepare judges the work tree's commit by the tags that are known here.
func (p place) prepare(ctx context.Context, cfg *config.Config, tag release.Tag) (*plan.Plan, error) {
	head, err := git.Head(ctx, p.root)
	if err != nil {
		return nil, err
	}
	subject := plan.Subject{Tag: tag, Commit: head.Hash}
	if subject.Tags, err = p.tags(ctx, cfg); err != nil {
		return nil, err
	}
	file, err := os.ReadFile(filepath.Join(p.root, releases.Path(tag)))
	if errors.Is(err, fs.ErrNotExist) {
		file, err = nil, nil
		if cfg.Environment == config.Rehearsal {
			file, err = rehearsal.Statement(ctx, p.root, subject)
		}
	}
	if err != nil {
		return nil, err
	}
	return plan.Prepare(ctx, subject, file, plan.Repository(p.root))
}

// tags are those of the work tree and, where something was rehearsed, those of the rehearsal.
func (p place) tags(ctx context.Context, cfg *config.Config) (map[string]string, error) {
	out, err := git.TagCommits(ctx, p.root)
	if err != nil {
		return nil, err
	}
	_, nothing := os.Stat(filepath.Join(p.dist, "rehearsal"))
	if cfg.Environment != config.Rehearsal || nothing != nil {
		return out, nil
	}
	o, err := operatorIn(ctx, p, cfg)
	if err != nil {
		return nil, err
	}
	defer o.world.Close() //nolint:errcheck // nothing was written
	rehearsed, err := o.github.Tags(ctx)
	for _, t := range rehearsed {
		out[t.Name] = t.Commit
	}
	return out, err
}
