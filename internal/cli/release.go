package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/cli/doctor"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Status writes what the ledger of a tag holds, as a table or as JSON.
func Status(w io.Writer, flag string, asJSON bool) error {
	space, tag, err := openWorkspace("", flag)
	if err != nil {
		return err
	}
	status, err := planOf(tag.Family).Status(steps.Dir(space.dist, tag))
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Tag release.Tag `json:"tag"`
			pipeline.Status
		}{tag, status})
	}
	_, _ = fmt.Fprintln(w, tag)
	return status.Write(w, space.goOn(tag))
}

// goOn is how a release that is under way goes on.
func (w *workspace) goOn(tag release.Tag) string {
	if w.cfg.Environment == config.Production {
		return "re-run the failed jobs of the tag's run of " + tag.Family.Workflow()
	}
	return fmt.Sprintf("`go tool mage release:%s -tag=%s`", tag.Family.Short(), tag)
}

// Plan writes of which class a release of this commit would be, which rules
// follow, what it lacks, and its steps. It changes nothing.
func Plan(ctx context.Context, w io.Writer, flag string) error {
	space, tag, err := openWorkspace("", flag)
	if err != nil {
		return err
	}
	decided, err := space.plan(ctx, tag)
	if err != nil {
		return err
	}
	if err := space.askBase(ctx, decided); err != nil {
		return err
	}
	if err := space.askGitHub(ctx, decided); err != nil {
		return err
	}
	if err := decided.Write(w); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(w)
	return planOf(tag.Family).Plan(w)
}

// askBase adds to the plan of a node release whether the pinned base image exists, and what its family has now.
// Where nothing was rehearsed yet there is nobody to ask: a plan leaves nothing behind.
func (w *workspace) askBase(ctx context.Context, p *plan.Plan) error {
	if p.Tag.Family != release.Node {
		return nil
	}
	if w.untouched() {
		p.Facts = append(p.Facts, posture.Unlooked(posture.BaseImage, "the base image's family",
			"nothing was rehearsed here yet"))
		return nil
	}
	return w.operate(ctx, func(o *operator) error {
		p.Checks = append(p.Checks, doctor.BaseImage(ctx, o.env))
		p.Facts = append(p.Facts, posture.Base(o.env.Images.Drift(ctx)))
		return nil
	})
}

// askGitHub adds to the plan what others have to say: CI of the commit, and the
// environment of the promotion. Where nothing was rehearsed yet there is nobody to ask.
func (w *workspace) askGitHub(ctx context.Context, p *plan.Plan) error {
	if w.untouched() {
		return nil
	}
	return w.operate(ctx, func(o *operator) error {
		p.Checks = append(p.Checks, steps.Clearance(ctx, o.github, p)...)
		return nil
	})
}

// untouched says that a rehearsal has nothing to look at yet.
func (w *workspace) untouched() bool {
	_, nothing := os.Stat(filepath.Join(w.dist, "rehearsal"))
	return w.cfg.Environment == config.Rehearsal && nothing != nil
}

// plan judges the work tree's commit by the tags that are known here.
func (w *workspace) plan(ctx context.Context, tag release.Tag) (*plan.Plan, error) {
	head, err := git.Head(ctx, w.root)
	if err != nil {
		return nil, err
	}
	subject := plan.Subject{Tag: tag, Commit: head.Hash}
	if subject.Tags, subject.Stable, err = w.known(ctx); err != nil {
		return nil, err
	}
	notes, err := os.ReadFile(filepath.Join(w.root, releases.Path(tag)))
	if errors.Is(err, fs.ErrNotExist) {
		notes, err = nil, nil
		if w.cfg.Environment == config.Rehearsal {
			notes, err = rehearsal.Statement(ctx, w.root, subject)
		}
	}
	if err != nil {
		return nil, err
	}
	p, err := plan.Prepare(ctx, subject, notes, plan.Repository(w.root))
	if err != nil {
		return nil, err
	}
	policies, hosts := filepath.Join(w.root, "policies"), filepath.Join(w.root, tcb.HostFile)
	p.Facts = steps.Governed(ctx, w.root, policies, hosts, time.Now())
	return p, steps.Waive(p, policies, hosts)
}

// known are the tags of the work tree and of GitHub, and GitHub's published stable releases: what was released is
// GitHub's to say. Where nothing was rehearsed yet there is nobody to ask, and nothing was released.
func (w *workspace) known(ctx context.Context) (map[string]string, []release.Tag, error) {
	tags, err := git.TagCommits(ctx, w.root)
	if err != nil || w.untouched() {
		return tags, nil, err
	}
	var stable []release.Tag
	err = w.operate(ctx, func(o *operator) error {
		pushed, err := o.github.Tags(ctx)
		if err != nil {
			return err
		}
		for _, t := range pushed {
			tags[t.Name] = t.Commit
		}
		all, err := o.github.Releases(ctx)
		stable = plan.Published(all)
		return err
	})
	return tags, stable, err
}

// Merge takes what the jobs of a release did side by side into dist/{tag}. In
// from each job has a folder with its ledger and what it staged.
func Merge(ctx context.Context, tag, from string) error {
	dirs, err := jobFolders(from)
	if err != nil {
		return err
	}
	return withSession(ctx, request{target: "release:merge", tag: tag, jobs: dirs}, func(s *session) error {
		if err := s.release.Ledger.Merge(s.run.Graph, dirs); err != nil {
			return err
		}
		for _, dir := range dirs {
			s.console.Infof("merged %s", console.Path(dir))
		}
		return nil
	})
}

// jobFolders are the folders below from, or from itself when it is one job's.
func jobFolders(from string) ([]string, error) {
	_, err := os.Stat(filepath.Join(from, pipeline.LedgerName))
	if err == nil {
		return []string{from}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "cannot read the folder of the jobs", Err: err}
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(from, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "there is no job's ledger to merge",
			Expected: "a folder for each job in " + console.Path(from), Got: "none"}
	}
	return out, nil
}
