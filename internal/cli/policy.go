package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/diff"
	"github.com/calimero-network/mero-tee/policies/inspection"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// PolicyCheck judges the policy file or folder at path, by default the working
// policies and the TCB list of the key service's host: one line per check.
func PolicyCheck(path string) error {
	if path == "" {
		w, err := locate()
		if err != nil {
			return err
		}
		return governed(w.root)
	}
	results, err := inspected(path)
	if err != nil {
		return err
	}
	return results.Report(newConsole())
}

// governed judges all that people govern of what machines are accepted.
func governed(root string) error {
	results, err := inspected(filepath.Join(root, "policies"))
	if err != nil {
		return err
	}
	data, err := readJSON(filepath.Join(root, tcb.HostFile))
	if err != nil {
		return err
	}
	return append(results, inspection.Host(tcb.HostFile, data, time.Now())...).Report(newConsole())
}

func inspected(path string) (check.Results, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return inspection.Folder(os.DirFS(path), time.Now()), nil
	}
	data, err := readJSON(path)
	return inspection.File(filepath.Base(path), data, time.Now()), err
}

// PolicyPromote proposes a node release's measurements for all profiles.
func PolicyPromote(ctx context.Context, w io.Writer, tag string, dryRun bool) error {
	node, err := parseNode(tag)
	if err != nil {
		return err
	}
	return change(ctx, w, dryRun, node,
		func(_ *operator, before propose.Set, published []byte) (*propose.Proposal, error) {
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

// releasedBoots are the event logs of a node release, audited.
func (o *operator) releasedBoots(ctx context.Context, node release.Tag) (out propose.Boots, err error) {
	err = o.reading(ctx, node, func(dir string) error {
		out, err = o.boots(ctx, dir)
		return err
	})
	return out, err
}

// boots are the event logs of the profiles whose evidence is in dir. Every quote is verified: what a file says that
// nobody signed is not believed.
func (o *operator) boots(ctx context.Context, dir string) (propose.Boots, error) {
	v, err := o.env.Verifier()
	if err != nil {
		return nil, err
	}
	out := propose.Boots{}
	for _, p := range release.Profiles() {
		data, err := readJSON(filepath.Join(dir, release.EvidenceAsset(p)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e, err := evidence.DecodeEvidence(data)
		if err != nil {
			return nil, err
		}
		if e.Profile != p {
			return nil, fault.Mismatch("evidence of another profile", string(p), string(e.Profile))
		}
		boots, err := e.Observe(ctx, v)
		if err != nil {
			return nil, err
		}
		out[p] = boots[0].Events
	}
	return out, nil
}

// PolicyRevoke proposes to take out the measurements of a release, or those
// with a register that begins like prefix.
func PolicyRevoke(ctx context.Context, w io.Writer, tag, prefix, reason string, dryRun bool) error {
	target := propose.Target{Prefix: prefix}
	if tag != "" {
		var err error
		if target.Tag, err = parseNode(tag); err != nil {
			return err
		}
	}
	return change(ctx, w, dryRun, release.Tag{},
		func(_ *operator, before propose.Set, _ []byte) (*propose.Proposal, error) {
			return propose.Revoke(before, target, reason)
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
