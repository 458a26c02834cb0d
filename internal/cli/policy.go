package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/diff"
	"github.com/calimero-network/mero-tee/policies/inspection"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// PolicyCheck judges the policy file or folder at path, by default the working
// policies: one line per check.
func PolicyCheck(path string) error {
	if path == "" {
		w, err := locate()
		if err != nil {
			return err
		}
		path = filepath.Join(w.root, "policies")
	}
	results, err := inspected(path)
	if err != nil {
		return err
	}
	return results.Report(newConsole())
}

func inspected(path string) (check.Results, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return inspection.Folder(os.DirFS(path)), nil
	}
	data, err := readJSON(path)
	return inspection.File(filepath.Base(path), data), err
}

// PolicyPromote proposes a node release's measurements for all profiles.
func PolicyPromote(ctx context.Context, w io.Writer, tag string, dryRun bool) error {
	node, err := parseNode(tag)
	if err != nil {
		return err
	}
	return change(ctx, w, dryRun, func(o *operator) (*propose.Proposal, error) {
		published, err := o.published(ctx, node)
		if err != nil {
			return nil, err
		}
		before, err := propose.Load(ctx, o.github, propose.Base)
		if err != nil {
			return nil, err
		}
		return propose.Promote(before, published)
	})
}

func parseNode(tag string) (release.Tag, error) {
	if tag == "" {
		return release.Tag{}, &fault.Error{Code: fault.Usage, Message: "no node release is named",
			Expected: "-tag=mero-tee-vX.Y.Z", Got: "no -tag", Hint: "`go tool mage verify:recent 3` names the newest ones"}
	}
	return parseTag(release.Node, tag)
}

// RefreshRequest says where registers were newly observed: in a file, or in another release of the same image.
type RefreshRequest struct{ Profile, File, Tag string }

// PolicyRefresh proposes newly observed platform registers next to the old ones.
func PolicyRefresh(ctx context.Context, w io.Writer, r RefreshRequest, dryRun bool) error {
	observation, err := r.observation()
	if err != nil {
		return err
	}
	var node release.Tag
	if observation.Elsewhere {
		if node, err = parseTag(release.Node, r.Tag); err != nil {
			return err
		}
	}
	return change(ctx, w, dryRun, func(o *operator) (*propose.Proposal, error) {
		if observation.Elsewhere {
			if observation.Published, err = o.published(ctx, node); err != nil {
				return nil, err
			}
		}
		before, err := propose.Load(ctx, o.github, propose.Base)
		if err != nil {
			return nil, err
		}
		return propose.Refresh(ctx, o.github, before, observation)
	})
}

// observation is what is known before a release is asked.
func (r RefreshRequest) observation() (out propose.Observation, err error) {
	if (r.File == "") == (r.Tag == "") {
		return out, &fault.Error{Code: fault.Usage, Message: "the observed registers need one source",
			Expected: "-measurements=FILE or -tag=mero-tee-vX.Y.Z", Got: "-measurements=" + r.File + " -tag=" + r.Tag}
	}
	out = propose.Observation{Elsewhere: r.Tag != "", Day: time.Now().UTC().Format(time.DateOnly)}
	if r.Profile != "" {
		if out.Profile, err = release.ParseProfile(r.Profile); err != nil {
			return out, err
		}
	}
	if r.File != "" {
		out.Published, err = readJSON(r.File)
	}
	return out, err
}

// PolicyRevoke proposes to take out the measurements of a release, or those
// with a register that begins like prefix.
func PolicyRevoke(ctx context.Context, w io.Writer, tag, prefix, reason string, dryRun bool) error {
	target := propose.Target{Prefix: prefix}
	if tag != "" {
		var err error
		if target.Tag, err = parseTag(release.Node, tag); err != nil {
			return err
		}
	}
	return change(ctx, w, dryRun, func(o *operator) (*propose.Proposal, error) {
		before, err := propose.Load(ctx, o.github, propose.Base)
		if err != nil {
			return nil, err
		}
		return propose.Revoke(before, target, reason)
	})
}

// change works out a change of the policies on the main branch, shows it, and
// opens its pull request: "Nothing edits a policy silently".
func change(ctx context.Context, w io.Writer, dryRun bool, work func(*operator) (*propose.Proposal, error)) error {
	return operate(ctx, func(o *operator) error {
		p, err := work(o)
		if err != nil {
			return err
		}
		if err := diff.WriteTable(w, p.Rows(), false); err != nil {
			return err
		}
		return o.propose(ctx, p, dryRun)
	})
}

func (o *operator) propose(ctx context.Context, p *propose.Proposal, dryRun bool) error {
	switch {
	case p.Empty():
		o.console.Infof("the policies on %s hold all of this already: nothing to propose", propose.Base)
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
	o.console.Infof("proposed in pull request #%d, labelled %s: %s%s", pr.Number, p.Label, pr.HTMLURL, o.banner())
	return nil
}
