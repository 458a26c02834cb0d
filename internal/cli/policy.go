package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/diff"
	"github.com/calimero-network/mero-tee/policies/inspection"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// PolicyCheck judges the policy file or folder at path, by default the working
// policies and the TCB list of the key service's host: one line per check.
func PolicyCheck(ctx context.Context, path string) error {
	if path == "" {
		w, err := locate()
		if err != nil {
			return err
		}
		return governed(ctx, w.root)
	}
	results, err := inspected(path)
	if err != nil {
		return err
	}
	return results.Report(newConsole())
}

// governed judges all that people govern of what machines are accepted.
func governed(ctx context.Context, root string) error {
	results, err := inspected(filepath.Join(root, "policies"))
	if err != nil {
		return err
	}
	if working, err := policies.LoadDir(os.DirFS(filepath.Join(root, "policies"))); err == nil { // else that was said
		tests := evidence.Folder{FS: os.DirFS(filepath.Join(root, evidence.Dir))}
		results = append(results, inspection.Tested(ctx, working, tests)...)
		results = append(results, inspection.Origins(ctx, working, named, time.Now())...)
	}
	data, err := readJSON(filepath.Join(root, tcb.HostFile))
	if err != nil {
		return err
	}
	return append(results, inspection.Host(tcb.HostFile, data, time.Now())...).Report(newConsole())
}

// named are what node releases publish, as GitHub has them. The policies here are those
// of production: of its releases a rehearsal knows none.
func named(ctx context.Context, tags []release.Tag) (out policies.Published, err error) {
	w, err := configure()
	if err != nil {
		return nil, err
	}
	if w.cfg.Environment == config.Rehearsal {
		return nil, fmt.Errorf("%w: a rehearsal does not know the releases that policies/ names; "+
			"`MERO_ENVIRONMENT=production go tool mage policy:check` asks GitHub", policies.ErrNotAsked)
	}
	dir, remove, err := file.Temp("policies")
	if err != nil {
		return nil, err
	}
	defer remove()
	err = w.operate(ctx, func(o *operator) error {
		out, err = steps.NewPublished(o.env, o.github, dir).Named(ctx, tags)
		return err
	})
	return out, err
}

func inspected(path string) (check.Results, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return inspection.Folder(os.DirFS(path), time.Now()), nil
	}
	data, err := readJSON(path)
	return inspection.File(filepath.Base(path), data, time.Now()), err
}

// PolicyPromote proposes a node release's measurements for all profiles, when
// a successful E2E vouches for them or there is a reason to go without one.
func PolicyPromote(ctx context.Context, w io.Writer, tag string, withoutE2E *string, dryRun bool) error {
	node, err := parseNode(tag)
	if err != nil {
		return err
	}
	if withoutE2E != nil {
		if err := reason.Check("a promotion without E2E", *withoutE2E); err != nil {
			return err
		}
	}
	return change(ctx, w, dryRun, node,
		func(o *operator, before propose.Set, published []byte) (*propose.Proposal, error) {
			return o.promotion(ctx, before, published, node, Value(withoutE2E))
		})
}

func (o *operator) promotion(ctx context.Context, before propose.Set, published []byte, node release.Tag,
	withoutE2E string) (*propose.Proposal, error) {
	voucher := propose.Voucher{WithoutE2E: withoutE2E}
	if withoutE2E != "" {
		o.console.Warnf("%s is promoted without E2E: %s", node, withoutE2E)
		return propose.Promote(before, published, voucher)
	}
	var err error
	if voucher.Tests, err = propose.TestsOf(ctx, o.github, node); err != nil {
		return nil, err
	}
	return propose.Promote(before, published, voucher)
}

func parseNode(tag string) (release.Tag, error) {
	if tag == "" {
		return release.Tag{}, &fault.Error{Code: fault.Usage, Message: "no node release is named",
			Expected: "-tag=mero-tee-vX.Y.Z", Got: "no -tag", Hint: "`go tool mage verify:recent 3` names the newest ones"}
	}
	return parseTag(release.Node, tag)
}

// RefreshRequest says where registers were newly observed: in a file, or in another release of the same image; and
// which events that moved are accepted, for which reason.
type RefreshRequest struct{ Profile, File, Tag, Accept, Reason string }

// PolicyRefresh proposes newly observed platform registers next to the old ones.
func PolicyRefresh(ctx context.Context, w io.Writer, r RefreshRequest, dryRun bool) error {
	if (r.File == "") == (r.Tag == "") {
		return &fault.Error{Code: fault.Usage, Message: "the observed registers need one source",
			Expected: "-measurements=FILE or -tag=mero-tee-vX.Y.Z", Got: "-measurements=" + r.File + " -tag=" + r.Tag}
	}
	seen := propose.Observation{Elsewhere: r.Tag != "", Day: time.Now().UTC().Format(time.DateOnly)}
	seen.Platform.Reason = r.Reason
	if r.Accept != "" {
		seen.Platform.Accept = strings.Split(r.Accept, ",")
	}
	var node release.Tag
	var err error
	if r.Profile != "" {
		if seen.Profile, err = release.ParseProfile(r.Profile); err != nil {
			return err
		}
	}
	if seen.Elsewhere {
		node, err = parseNode(r.Tag)
	} else {
		seen.Published, err = readJSON(r.File)
	}
	if err != nil {
		return err
	}
	return change(ctx, w, dryRun, node,
		func(o *operator, before propose.Set, published []byte) (_ *propose.Proposal, err error) {
			seen.Platform.Promoted = func(tag release.Tag) (propose.Boots, error) { return o.releasedBoots(ctx, tag) }
			if seen.Elsewhere {
				seen.Published = published
				seen.Platform.Seen, err = o.releasedBoots(ctx, node)
			} else {
				seen.Platform.Seen, err = o.boots(ctx, filepath.Dir(r.File))
			}
			if err != nil {
				return nil, err
			}
			return propose.Refresh(ctx, o.github, before, seen)
		})
}

// proposer works out a change of the policies before it, from what an audited node release publishes.
type proposer func(o *operator, before propose.Set, published []byte) (*propose.Proposal, error)

// change shows a change of the policies on the main branch and opens its pull
// request: "Nothing edits a policy silently". Without a node release nothing is published.
func change(ctx context.Context, w io.Writer, dryRun bool, node release.Tag, work proposer) error {
	return operate(ctx, func(o *operator) (err error) {
		var published []byte
		if node != (release.Tag{}) {
			if published, err = o.published(ctx, node); err != nil {
				return err
			}
		}
		before, err := propose.Load(ctx, o.github, propose.Base)
		if err != nil {
			return err
		}
		p, err := work(o, before, published)
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
	labelled := "labelled " + p.Label
	if len(pr.Unlabelled) > 0 {
		labelled = "without a label"
		o.console.Warnf("the repository has no label %s, and the token may not make one (issues: write): "+
			"make it by hand, and run the command again", p.Label)
	}
	o.console.Infof("proposed in pull request #%d, %s: %s%s", pr.Number, labelled, pr.HTMLURL, o.banner())
	return nil
}
