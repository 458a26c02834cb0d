package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/policies"
)

// operator is a stranger with a terminal: who uses releases and makes none.
type operator struct {
	console *console.Console
	env     *environment.Environment
	github  *github.Client
}

// operate lets do work in the configured environment.
func operate(ctx context.Context, do func(*operator) error) error {
	w, err := configure()
	if err != nil {
		return err
	}
	return w.operate(ctx, do)
}

func (w *workspace) operate(ctx context.Context, do func(*operator) error) error {
	w.rehearse(release.Tag{Family: release.KMS})
	w.person = true
	o := &operator{console: newConsole()}
	env, world, err := w.environment(ctx, o.console)
	if err != nil {
		return err
	}
	defer closeWorld(world, o.console)
	o.env = env
	if o.github, err = env.GitHub(); err != nil {
		return err
	}
	return do(o)
}

func closeWorld(world io.Closer, c *console.Console) {
	if err := world.Close(); err != nil {
		c.Warnf("closing: %v", err)
	}
}

// audited judges a public release, or the one in folder, prints one line per
// check, and returns an error unless every check passed. Then read, unless it is
// nil, may look at the assets in dir.
func (o *operator) audited(ctx context.Context, s audit.Subject, folder string, read func(dir string) error) error {
	dir, err := os.MkdirTemp("", "mero-tee-audit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if s.Trust, err = o.env.Trust(ctx); err != nil {
		return err
	}
	s.Repository, s.TDXRoot, s.Sources = o.env.Config.Repository, o.env.TDXRoot, git.Tree(o.env.Root)
	var src audit.Source = audit.Folder{Dir: folder}
	s.Published = unpublished
	if folder == "" {
		s.Published = steps.NewPublished(o.env, o.github, filepath.Join(dir, "published")).Named
		src = &audit.GitHub{Client: o.github, Tag: s.Tag.String()}
		if s.Commit, err = o.commit(ctx, s.Tag); err != nil {
			return err
		}
	}
	if s.Verifier, err = o.env.Verifier(); err != nil {
		return err
	}
	report, err := audit.Release(ctx, src, dir, s)
	if err != nil {
		return err
	}
	if err := report.Results.Report(o.console); err != nil {
		return &fault.Error{Code: fault.CodeOf(err), Step: "verify:release",
			Message: s.Tag.String() + " is not to be trusted", Err: err}
	}
	o.console.Infof("%s was built from commit %s by %s%s", s.Tag, report.Commit, s.Tag.Family.Workflow(), o.banner())
	if read == nil {
		return nil
	}
	return read(dir)
}

// unpublished is for a folder, which is judged without GitHub.
func unpublished(context.Context, []release.Tag) (policies.Published, error) {
	return nil, fmt.Errorf("%w: a folder is judged without GitHub; verify:release TAG asks it", policies.ErrNotAsked)
}

// commit is that of a tag, which GitHub must have.
func (o *operator) commit(ctx context.Context, tag release.Tag) (string, error) {
	commit, err := o.github.TagCommit(ctx, tag.String())
	return commit, o.github.Missing(ctx, "tag "+tag.String(), err)
}

// reading audits a release and lets read look at its assets.
func (o *operator) reading(ctx context.Context, tag release.Tag, read func(dir string) error) error {
	return o.audited(ctx, audit.Subject{Tag: tag}, "", read)
}

// published is the audited published-mrtds.json of a node release.
func (o *operator) published(ctx context.Context, node release.Tag) (data []byte, err error) {
	err = o.reading(ctx, node, func(dir string) error {
		data, err = os.ReadFile(filepath.Join(dir, release.MeasurementsAsset))
		return err
	})
	return data, err
}

// banner says at the end of a line that something was made in a rehearsal.
func (o *operator) banner() string {
	if o.env.Banner == "" {
		return ""
	}
	return " [" + o.env.Banner + "]"
}
