package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

// operator is a stranger with a terminal: who uses releases and makes none.
type operator struct {
	console *console.Console
	env     *environment.Environment
	world   io.Closer
	github  *github.Client
}

// openOperator opens the configured environment. Close its world.
func openOperator(ctx context.Context) (*operator, error) {
	p, err := here()
	if err != nil {
		return nil, err
	}
	cfg, err := configuration(p, release.KMS, "")
	if err != nil {
		return nil, err
	}
	return operatorIn(ctx, p, cfg)
}

func operatorIn(ctx context.Context, p place, cfg *config.Config) (o *operator, err error) {
	o = &operator{console: Console()}
	if o.env, o.world, err = environmentOf(ctx, p, cfg, o.console); err != nil {
		return nil, err
	}
	o.github, err = o.env.GitHub()
	if err != nil {
		return nil, errors.Join(err, o.world.Close())
	}
	return o, nil
}

// audited judges a public release, or the one in folder, prints one line per
// check, and returns an error unless every check passed. Then read, unless it is
// nil, may look at the assets in dir.
func (o *operator) audited(ctx context.Context, s audit.Subject, folder string, read func(dir string) error) (err error) {
	dir, err := os.MkdirTemp("", "mero-tee-audit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if s.Trust, err = o.env.Trust(ctx); err != nil {
		return err
	}
	if s.Verifier, err = o.env.Verifier(); err != nil {
		return err
	}
	s.Repository, s.TDXRoot = o.env.Config.Repository, o.env.TDXRoot
	var src audit.Source = audit.Folder{Dir: folder}
	if folder == "" {
		src = &audit.GitHub{Client: o.github, Tag: s.Tag.String()}
		if s.Commit, err = o.github.TagCommit(ctx, s.Tag.String()); err != nil {
			return &fault.Error{Code: fault.General, Message: "tag " + s.Tag.String(), Err: err}
		}
	}
	result, err := audit.Release(ctx, src, dir, s)
	if err != nil {
		return err
	}
	result.Results.Print(o.console)
	if err := result.Results.Err(); err != nil {
		return &fault.Error{Code: fault.CodeOf(err), Step: "verify:release",
			Message: fmt.Sprintf("%s is not to be trusted: %d of %d checks failed", s.Tag, result.Results.Count(check.Failed), len(result.Results))}
	}
	o.console.Infof("%s was built from commit %s by %s%s", s.Tag, result.Commit, s.Tag.Family.Workflow(), banner(o.env.Banner))
	if read == nil {
		return nil
	}
	return read(dir)
}
