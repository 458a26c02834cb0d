package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
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

// audited judges a public release, or the one in a folder, prints one line per
// check, and returns an error unless every check passed. Then read, unless it is
// nil, may look at the assets in dir.
func (o *operator) audited(ctx context.Context, s audit.Subject, from Place, read func(dir string) error) error {
	return o.audit(ctx, s, from, func(found *audit.Report, dir string) error {
		if stands := found.Results.Err() == nil; stands && read != nil {
			return read(dir)
		}
		return nil
	})
}

// audit is audited, and lets seen look at whatever was found before it is judged.
func (o *operator) audit(ctx context.Context, s audit.Subject, from Place,
	seen func(found *audit.Report, dir string) error) error {
	dir, remove, err := file.Temp("audit")
	if err != nil {
		return err
	}
	defer remove()
	src, err := o.subject(ctx, &s, from)
	if err != nil {
		return err
	}
	s.Published = o.named(from, filepath.Join(dir, "published"))
	report, err := audit.Release(ctx, src, dir, s)
	if err != nil {
		return err
	}
	err = report.Results.Report(o.console)
	if err != nil {
		err = condemned(s.Tag, report.Results, err)
	} else {
		o.console.Infof("%s was built from commit %s by %s%s", s.Tag, report.Commit, s.Tag.Family.Workflow(), o.banner())
	}
	if failed := seen(report, dir); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// named reads what node releases publish. A folder is judged without GitHub.
func (o *operator) named(from Place, dir string) audit.Published {
	if from.Folder == "" {
		return steps.NewPublished(o.env, o.github, dir).Named
	}
	return func(context.Context, []release.Tag) (policies.Published, error) {
		return nil, fmt.Errorf("%w: a folder is judged without GitHub; verify:release TAG asks it", policies.ErrNotAsked)
	}
}

// subject fills in whom this environment believes, and says where the release is read.
func (o *operator) subject(ctx context.Context, s *audit.Subject, from Place) (src audit.Source, err error) {
	if err := from.check(); err != nil {
		return nil, err
	}
	if s.Trust, err = o.trust(ctx, from); err != nil {
		return nil, err
	}
	s.Repository, s.Sources, s.Platforms = o.env.Config.Repository, git.Tree(o.env.Root), o.env.Platforms()
	s.TDXRoot, s.GoogleRoot = o.env.TDXRoot, o.env.GoogleRoot
	if from.Folder != "" {
		s.Offline = true
		return audit.Folder{Dir: from.Folder}, nil
	}
	if s.Commit, err = o.commit(ctx, s.Tag); err != nil {
		return nil, err
	}
	s.Verifier, err = o.env.Verifier()
	return &audit.GitHub{Client: o.github, Tag: s.Tag.String()}, err
}

// check refuses a place that is no folder, of which nothing can be said: it has no assets that are missing.
func (p Place) check() error {
	if p.Folder == "" {
		return nil
	}
	info, err := os.Stat(p.Folder)
	if err == nil && info.IsDir() {
		return nil
	}
	return &fault.Error{Code: fault.Usage, Message: "there is no release to judge at " + p.Folder, Err: err,
		Expected: "a folder with all its assets", Got: fmt.Sprintf("%.200q", p.Folder),
		Hint: "name the folder, or leave out -offline: docs/verifying.md"}
}

// trust is whom to believe about signatures: the root in a file that somebody
// chose, or Sigstore's of today. Which one judges is said, so that it can be compared.
func (o *operator) trust(ctx context.Context, from Place) (root.TrustedMaterial, error) {
	if from.Trust != "" {
		material, sum, err := signature.NamedRoot(from.Trust)
		if err != nil {
			return nil, err
		}
		o.console.Infof("signatures are judged by the trusted root in %s, %s", console.Path(from.Trust), sum)
		return material, nil
	}
	material, err := o.env.Trust(ctx)
	if err != nil {
		return nil, withoutNetwork(err)
	}
	if o.env.Sigstore == nil { // whom this environment believes was given to it
		return material, nil
	}
	raw, err := o.env.Sigstore.TrustedRootFile(ctx)
	if err != nil {
		return nil, err
	}
	o.console.Infof("signatures are judged by the trusted root of %s, %s", trust.Mirror, digest.Of(raw))
	return material, nil
}

// withoutNetwork names the other way where Sigstore's repository cannot be asked.
func withoutNetwork(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.General {
		return err
	}
	named := *f
	named.Hint = "without a network give the root: -trust=FILE, which `go tool mage verify:trust` writes where " +
		"there is one (docs/verifying.md); nothing is said about any signature"
	return &named
}

// condemned is the error of a release that did not pass: something is wrong with
// it, or something could not be looked at, which is another thing.
func condemned(tag release.Tag, results check.Results, err error) error {
	out := &fault.Error{Code: fault.CodeOf(err), Step: "verify:release", Err: err,
		Message: tag.String() + " could not be judged whole, and nothing that was looked at is wrong"}
	for _, r := range results {
		if code := fault.CodeOf(r.Err()); code == fault.Verification || code == fault.MissingAsset {
			out.Code, out.Message = code, tag.String()+" is not to be trusted"
			break
		}
	}
	return out
}

// commit is that of a tag, which GitHub must have.
func (o *operator) commit(ctx context.Context, tag release.Tag) (string, error) {
	commit, err := o.github.TagCommit(ctx, tag.String())
	return commit, o.github.Missing(ctx, "tag "+tag.String(), err)
}

// reading audits a release and lets read look at its assets.
func (o *operator) reading(ctx context.Context, tag release.Tag, read func(dir string) error) error {
	return o.audited(ctx, audit.Subject{Tag: tag}, Place{}, read)
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
