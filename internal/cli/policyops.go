package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/diff"
	"github.com/calimero-network/mero-tee/policies/inspection"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// PolicyCheck judges the working policies, or the policy file or folder at
// path: one line per check.
func PolicyCheck(path *string) error { return report("policy:check", checkPolicies(Value(path))) }

func checkPolicies(path string) error {
	if path == "" {
		p, err := here()
		if err != nil {
			return err
		}
		path = filepath.Join(p.root, "policies")
	}
	results, err := inspected(path)
	if err != nil {
		return err
	}
	return results.Report(Console())
}

func inspected(path string) (check.Results, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return inspection.Folder(os.DirFS(path)), nil
	}
	data, err := readJSON(path)
	return inspection.File(filepath.Base(path), data), err
}

// readJSON reads a file that somebody names, of bounded size.
func readJSON(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "cannot be read", Err: err}
	}
	defer f.Close() //nolint:errcheck // read-only
	data, err := io.ReadAll(io.LimitReader(f, canonical.MaxSize+1))
	if err == nil && len(data) > canonical.MaxSize {
		err = &fault.Error{Code: fault.Usage, Message: path + " is too large to be one of our files"}
	}
	return data, err
}

// PolicyPromote proposes a node release's measurements for all profiles.
func PolicyPromote(ctx context.Context, w io.Writer, tag string, dryRun bool) error {
	return report("policy:promote", changing(ctx, w, dryRun, func(o *operator) (*propose.Proposal, error) {
		published, err := o.published(ctx, tag)
		if err != nil {
			return nil, err
		}
		before, err := propose.Load(ctx, o.github, propose.Base)
		if err != nil {
			return nil, err
		}
		return propose.Promote(before, published)
	}))
}

// RefreshRequest says where registers were newly observed: in a file, or in another release of the same image.
type RefreshRequest struct{ Profile, File, Tag string }

// PolicyRefresh proposes newly observed platform registers next to the old ones.
func PolicyRefresh(ctx context.Context, w io.Writer, r RefreshRequest, dryRun bool) error {
	return report("policy:refresh", changing(ctx, w, dryRun, func(o *operator) (*propose.Proposal, error) {
		observation, err := o.observed(ctx, r)
		if err != nil {
			return nil, err
		}
		before, err := propose.Load(ctx, o.github, propose.Base)
		if err != nil {
			return nil, err
		}
		return propose.Refresh(ctx, o.github, before, observation)
	}))
}

func (o *operator) observed(ctx context.Context, r RefreshRequest) (out propose.Observation, err error) {
	if (r.File == "") == (r.Tag == "") {
		return out, &fault.Error{Code: fault.Usage, Message: "what was observed", Expected: "-measurements=FILE or -tag=mero-tee-vX.Y.Z, one of them", Got: "-measurements=" + r.File + " -tag=" + r.Tag}
	}
	out = propose.Observation{Elsewhere: r.Tag != "", Day: time.Now().UTC().Format(time.DateOnly)}
	if r.Profile != "" {
		if out.Profile, err = release.ParseProfile(r.Profile); err != nil {
			return out, err
		}
	}
	if r.File != "" {
		out.Published, err = readJSON(r.File)
		return out, err
	}
	out.Published, err = o.published(ctx, r.Tag)
	return out, err
}

// PolicyRevoke proposes to take out the measurements of a release, or those
// with a register that begins like measurement.
func PolicyRevoke(ctx context.Context, w io.Writer, tag, measurement, reason string, dryRun bool) error {
	return report("policy:revoke", changing(ctx, w, dryRun, func(o *operator) (*propose.Proposal, error) {
		target := propose.Target{Prefix: measurement}
		if tag != "" {
			var err error
			if target.Tag, err = tagIn(release.Node, tag); err != nil {
				return nil, err
			}
		}
		before, err := propose.Load(ctx, o.github, propose.Base)
		if err != nil {
			return nil, err
		}
		return propose.Revoke(before, target, reason)
	}))
}

// published is the audited published-mrtds.json of a node release.
func (o *operator) published(ctx context.Context, name string) (data []byte, err error) {
	if name == "" {
		return nil, &fault.Error{Code: fault.Usage, Message: "of which node release", Expected: "-tag=mero-tee-vX.Y.Z", Got: "no -tag", Hint: "`go tool mage verify:recent 3` names the newest ones"}
	}
	tag, err := tagIn(release.Node, name)
	if err != nil {
		return nil, err
	}
	err = o.reading(ctx, tag, func(dir string) error {
		data, err = os.ReadFile(filepath.Join(dir, release.MeasurementsAsset))
		return err
	})
	return data, err
}

// changing works out a change of the policies on the main branch, shows it,
// and opens its pull request: "Nothing edits a policy silently".
func changing(ctx context.Context, w io.Writer, dryRun bool, propose func(*operator) (*propose.Proposal, error)) error {
	o, err := openOperator(ctx)
	if err != nil {
		return err
	}
	defer o.world.Close() //nolint:errcheck // what was proposed is on GitHub
	p, err := propose(o)
	if err != nil {
		return err
	}
	if err := diff.WriteTable(w, p.Rows(), false); err != nil {
		return err
	}
	return o.propose(ctx, p, dryRun)
}

func (o *operator) propose(ctx context.Context, p *propose.Proposal, dryRun bool) error {
	switch {
	case p.Empty():
		o.console.Infof("the policies on %s say so already: nothing to propose", propose.Base)
		return nil
	case dryRun:
		o.console.Infof("dry run: nothing was proposed")
		return nil
	}
	p.Banner = o.env.Banner
	pr, err := propose.Open(ctx, o.github, p)
	if err != nil {
		return err
	}
	o.console.Infof("proposed in pull request #%d, labelled %s: %s%s", pr.Number, p.Label, pr.HTMLURL, banner(o.env.Banner))
	return nil
}
