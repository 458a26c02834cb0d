package clearance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Environment is the one whose reviewers approve the promotion of a stable
// release: "Requires release-auditor approval".
const Environment = "release-auditor"

const (
	runName      = "approval: the run is this release's"
	reviewedName = "approval: environment " + Environment + " requires reviewers"
	approvedName = "approval: by somebody else than who pushed the tag"

	reviewersHint = "Settings, Environments, " + Environment +
		": required reviewers, prevent self-review (docs/releasing.md, section 1); then re-run the failed job"
)

// Promotion is a release that waits for its promotion, the workflow run that
// wants to promote it, and what GitHub says of both.
type Promotion struct {
	Tag         release.Tag
	Commit      string
	Run         github.WorkflowRun
	Reviews     []github.DeploymentReview
	Environment *github.DeploymentEnvironment // nil: nobody made it
}

// Approval is whose word a promotion rests on.
type Approval struct {
	By      string `json:"by"` // login
	Comment string `json:"comment,omitempty"`
}

// Judge says whether the promotion is approved, and by whom: each of them once.
func (p Promotion) Judge() ([]Approval, check.Results) {
	approvals, result := p.approved()
	return approvals, check.Results{p.ownRun(), Reviewed(p.Environment), result}
}

// ownRun: an approval of another run is about another release.
func (p Promotion) ownRun() check.Result {
	wanted := fmt.Sprintf("%s, pushed tag %s at %s", p.Tag.Family.Workflow(), p.Tag, p.Commit)
	got := fmt.Sprintf("%s, %s of %s at %s: %s", p.Run.Path, p.Run.Event, p.Run.HeadBranch, p.Run.HeadSHA, p.Run.HTMLURL)
	// "The full path of the workflow": alone, or with its repository before and @ref after it.
	path, _, _ := strings.Cut(p.Run.Path, "@")
	file := ".github/workflows/" + p.Tag.Family.Workflow()
	switch {
	case path != file && !strings.HasSuffix(path, "/"+file), p.Run.Event != "push",
		p.Run.HeadBranch != p.Tag.String(), p.Run.HeadSHA != p.Commit:
		return check.Fail(runName, fault.Verification, "it is another's", wanted, got).
			WithHint("approve the run that the push of the tag started, and let that run promote")
	}
	return check.Pass(runName)
}

// Reviewed says whether the environment lets nobody through without a review.
// GitHub makes an environment without any rule when a job first names it.
func Reviewed(e *github.DeploymentEnvironment) check.Result {
	if e == nil {
		return check.Fail(reviewedName, fault.Verification, "there is no such environment", "required reviewers", "none").
			WithHint(reviewersHint)
	}
	if _, ok := e.Reviewed(); !ok {
		return check.Fail(reviewedName, fault.Verification, "whoever pushes a tag promotes it",
			"required reviewers", "none: "+e.HTMLURL).WithHint(reviewersHint)
	}
	return check.Pass(reviewedName)
}

// approved finds the approvals. GitHub tells neither times nor an order of reviews
// (of several attempts, of which each has one decision), so that none is assumed:
// after a rejection every approval must be somebody else's, or the one that
// overruled it could be of who pushed the tag.
func (p Promotion) approved() ([]Approval, check.Result) {
	var others []Approval
	var seen []string
	rejected, own := false, false
	for _, r := range p.Reviews {
		seen = append(seen, describe(r))
		switch {
		case !ofEnvironment(r):
		case r.State == github.ReviewRejected:
			rejected = true
		case r.State != github.ReviewApproved: // a remark
		case p.pushed(r.User):
			own = true
		case !slices.ContainsFunc(others, func(a Approval) bool { return a.By == r.User.Login }):
			others = append(others, Approval{By: r.User.Login, Comment: r.Comment})
		}
	}
	switch {
	case len(others) == 0:
		return nil, p.refused("nobody else has approved it", seen)
	case rejected && own:
		return nil, p.refused("it was rejected, and who pushed the tag may have overruled that", seen)
	}
	return others, check.Pass(approvedName).Noting(others[0].By)
}

func (p Promotion) refused(why string, seen []string) check.Result {
	got := "no review"
	if len(seen) > 0 {
		got = strings.Join(seen, ", ")
	}
	wanted := fmt.Sprintf("an approval for %s, not by %s, who pushed the tag", Environment, p.Run.Actor.Login)
	if p.Run.Trigger.Login != p.Run.Actor.Login {
		wanted += ", nor by " + p.Run.Trigger.Login + ", who ran it again"
	}
	return check.Fail(approvedName, fault.Verification, why, wanted, got).
		WithHint("re-run the failed job, and let another reviewer of the environment approve it: " + p.Run.HTMLURL)
}

func describe(r github.DeploymentReview) string {
	var names []string
	for _, e := range r.Environments {
		names = append(names, e.Name)
	}
	return fmt.Sprintf("%s by %s for %s", r.State, r.User.Login, strings.Join(names, ", "))
}

func ofEnvironment(r github.DeploymentReview) bool {
	for _, e := range r.Environments {
		if strings.EqualFold(e.Name, Environment) { // GitHub does not tell them apart by case
			return true
		}
	}
	return false
}

// pushed says whether it is the one who pushed the tag, or who ran the workflow
// again. GitHub does not tell logins apart by case. Nobody's name is no other's.
func (p Promotion) pushed(u github.User) bool {
	for _, who := range []string{"", p.Run.Actor.Login, p.Run.Trigger.Login} {
		if strings.EqualFold(u.Login, who) {
			return true
		}
	}
	return p.Run.Actor.Login == ""
}
