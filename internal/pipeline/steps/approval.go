package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/verify/clearance"
)

// ApprovalFile is the name of the approval's record in work/.
const ApprovalFile = "approval.json"

// approvalRecord is work/approval.json: who approved the promotion. GitHub tells
// no time of a review; Seen is when this pipeline first saw it, which is after
// the review let the job begin.
type approvalRecord struct {
	Environment string               `json:"environment"`
	Approvals   []clearance.Approval `json:"approvals"`
	Run         string               `json:"run"` // its page
	Seen        time.Time            `json:"seen"`
}

// approved demands the approval of this release's own run and records it, in
// work/ and in the ledger, before anything rests on it.
func (r *Release) approved(ctx context.Context, w *pipeline.Work) (notes.Approval, error) {
	p, err := r.promotion(ctx)
	if err != nil {
		return notes.Approval{}, err
	}
	approvals, results := p.Judge()
	if err := results.Report(w.Console); err != nil {
		return notes.Approval{}, err
	}
	record := approvalRecord{Environment: clearance.Environment, Approvals: approvals, Run: p.Run.HTMLURL,
		Seen: time.Now().UTC().Truncate(time.Second)}
	if seen := r.seenBefore(record); !seen.IsZero() {
		record.Seen = seen
	}
	out := notes.Approval{Environment: record.Environment, Run: record.Run, Seen: record.Seen}
	for _, a := range approvals {
		out.Reviewers = append(out.Reviewers, notes.Reviewer{Login: a.By, Comment: a.Comment})
	}
	subject := fmt.Sprintf("%s by %s in %s", r.Tag, strings.Join(out.Logins(), ", "), record.Run)
	return out, w.Journal.Do(journal.Approval, subject, func() error { return WriteJSON(r.Work(ApprovalFile), record) })
}

// promotion is what GitHub says of this process's run and of the environment.
func (r *Release) promotion(ctx context.Context) (clearance.Promotion, error) {
	p := clearance.Promotion{Tag: r.Tag, Commit: r.Checkout.Commit}
	if r.Env.Run == nil {
		return p, &fault.Error{Code: fault.Verification, Message: "a stable release is promoted by its workflow alone",
			Expected: "a workflow run", Got: "none", Hint: "push the tag, and approve the run's job promote on GitHub"}
	}
	id, err := r.Env.Run(ctx, r.Tag)
	if err != nil {
		return p, err
	}
	run, err := r.GitHub.WorkflowRun(ctx, id)
	if err != nil {
		return p, err
	}
	p.Run = *run
	if p.Reviews, err = r.GitHub.DeploymentReviews(ctx, id); err != nil {
		return p, err
	}
	p.Environment, err = r.GitHub.Environment(ctx, clearance.Environment)
	if errors.Is(err, github.ErrNotFound) {
		p.Environment, err = nil, nil
	}
	return p, err
}

// seenBefore is when an earlier attempt saw the same approval; zero when none did.
func (r *Release) seenBefore(now approvalRecord) time.Time {
	var before approvalRecord
	err := ReadJSON(r.Work(ApprovalFile), &before) // not there, or not whole: it is written anew
	if err != nil || before.Run != now.Run || !slices.Equal(before.Approvals, now.Approvals) {
		return time.Time{}
	}
	return before.Seen
}
