package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/clearance"
)

const (
	// ciBegins is how long the checks of a commit may take to appear: a tag is
	// often pushed together with its commit.
	ciBegins = 2 * time.Minute
	// CIEnds is how long they may then take: as long as ci.yaml lets its job run.
	CIEnds = 90 * time.Minute
)

// CI is the verdict of CI on the tagged commit: "must pass CI checks", whatever
// the class. It waits for checks that have not ended only when nothing else
// stands in the release's way.
func (r *Release) CI(ctx context.Context, w *pipeline.Work, p *plan.Plan) (check.Results, error) {
	commit, err := clearance.Read(ctx, r.GitHub, r.Checkout.Commit)
	if err == nil && p.Err() == nil {
		err = r.awaitCI(ctx, w, &commit)
	}
	if err != nil {
		return nil, err
	}
	onMain, err := onMain(ctx, r.GitHub, p)
	return append(commit.Verdict(), onMain), err
}

// onMain asks only about the class that has to lie there.
func onMain(ctx context.Context, c *github.Client, p *plan.Plan) (check.Result, error) {
	if p.Class != release.Stable {
		return clearance.OnMain(p.Class, p.Commit, false), nil
	}
	on, err := c.OnBranch(ctx, clearance.Branch, p.Commit)
	return clearance.OnMain(p.Class, p.Commit, on), err
}

// Clearance is what others say by now of a release that is planned, without
// waiting: CI of its commit and, where it will be promoted, whether the
// environment requires reviewers. What cannot be looked at is skipped, with its reason.
func Clearance(ctx context.Context, c *github.Client, p *plan.Plan) check.Results {
	out := verdictSoFar(ctx, c, p)
	if !p.Rules.Approval {
		return out
	}
	e, err := c.Environment(ctx, clearance.Environment)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return append(out, clearance.Reviewed(nil))
	case err != nil:
		return append(out, unseen("approval: environment "+clearance.Environment, err))
	}
	return append(out, clearance.Reviewed(e))
}

func verdictSoFar(ctx context.Context, c *github.Client, p *plan.Plan) check.Results {
	commit, err := clearance.Read(ctx, c, p.Commit)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return check.Results{check.Skip("CI",
			fmt.Sprintf("commit %.12s is not on GitHub yet: push it, and ask again", p.Commit))}
	case err != nil:
		return check.Results{unseen("CI", err)}
	}
	lies, err := onMain(ctx, c, p)
	if err != nil {
		lies = unseen(lies.Name, err)
	}
	return append(commit.Verdict(), lies)
}

func unseen(name string, err error) check.Result {
	return check.Skip(name, "could not look: "+err.Error())
}

// awaitCI waits for checks to begin and then to end, each for its time; what is
// red ends it. What is still open after that, the verdict names.
func (r *Release) awaitCI(ctx context.Context, w *pipeline.Work, commit *clearance.Commit) error {
	said := ""
	for _, wait := range []struct {
		while  clearance.State
		policy retry.Policy
	}{
		{clearance.Missing, retry.Policy{First: 5 * time.Second, Most: 20 * time.Second, Total: ciBegins}},
		{clearance.Pending, retry.Policy{First: 20 * time.Second, Most: time.Minute, Total: CIEnds}},
	} {
		err := r.GitHub.Poll(ctx, wait.policy, "CI of "+commit.SHA, func() (bool, error) {
			err := commit.Refresh(ctx, r.GitHub)
			if now := commit.Open(); err == nil && now != said && now != "" {
				said = now
				w.Infof("waiting for CI of commit %.12s: %s", commit.SHA, now)
			}
			return commit.State() != wait.while, err
		})
		if err != nil && (!errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil) {
			return err
		}
	}
	return nil
}
