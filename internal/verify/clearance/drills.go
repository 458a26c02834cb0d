package clearance

import (
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Drills are the cases of this package's rules: in each the rule must fire with
// that code, and in another one it must not.
func Drills() []check.Drill { return append(ciDrills(), approvalDrills()...) }

// drilled is a commit of the drills.
var drilled = strings.Repeat("1", 40)

// greenRun is what GitHub Actions says of a commit that is in order.
func greenRun() github.CheckRun {
	return github.CheckRun{ID: 1, Name: "ci", HeadSHA: drilled, Status: "completed", Conclusion: "success",
		App: github.App{ID: 15368, Slug: actionsApp}}
}

// said is the result of check ci when these runs and statuses are all there is.
func said(statuses []github.Status, runs ...github.CheckRun) check.Result {
	c := Commit{SHA: drilled, Required: []github.RequiredCheck{{Context: "ci"}}, Runs: runs, Statuses: statuses}
	return c.Verdict()[0]
}

func ciDrills() []check.Drill {
	changed := func(change func(*github.CheckRun)) github.CheckRun {
		r := greenRun()
		change(&r)
		return r
	}
	status := func(state string) []github.Status { return []github.Status{{Context: "ci", State: state}} }
	again := changed(func(r *github.CheckRun) { r.ID, r.Conclusion = 2, "failure" })
	out := []check.Drill{
		{Name: "CI, a check that is missing", Bad: said(nil)},
		{Name: "CI, a check that failed", Bad: said(nil, changed(func(r *github.CheckRun) { r.Conclusion = "failure" }))},
		{Name: "CI, a check that was skipped",
			Bad: said(nil, changed(func(r *github.CheckRun) { r.Conclusion = "skipped" }))},
		{Name: "CI, a check that has not ended", Bad: said(nil, changed(func(r *github.CheckRun) { r.Status = "queued" }))},
		{Name: "CI, a check of another commit",
			Bad: said(nil, changed(func(r *github.CheckRun) { r.HeadSHA = strings.Repeat("2", 40) }))},
		{Name: "CI, a check by another app", Bad: said(nil, changed(func(r *github.CheckRun) { r.App.Slug = "another" }))},
		{Name: "CI, a status instead of a check", Bad: said(status("success"))},
		{Name: "CI, a check that failed when it ran again", Bad: said(nil, again, greenRun())},
		{Name: "CI, a status that contradicts the check", Bad: said(status("failure"), greenRun())},
	}
	for i := range out {
		out[i].Good = said(status("success"), greenRun())
	}
	out = append(out, check.Drill{Name: onMainName, Bad: OnMain(release.Stable, drilled, false),
		Good: OnMain(release.Stable, drilled, true)})
	for i := range out {
		out[i].Code = fault.Verification
	}
	return out
}

// review is one of an environment, in a drill.
func review(state, by, environment string) github.DeploymentReview {
	r := github.DeploymentReview{State: state, User: github.User{Login: by}}
	r.Environments = append(r.Environments, struct {
		Name string `json:"name"`
	}{environment})
	return r
}

func approvalDrills() []check.Drill {
	tag := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}
	judged := func(n int, run func(*github.WorkflowRun), reviews ...github.DeploymentReview) check.Result {
		p := Promotion{Tag: tag, Commit: drilled, Reviews: reviews, Environment: &github.DeploymentEnvironment{
			Rules: []github.ProtectionRule{{Type: "required_reviewers", Reviewers: make([]struct{}, 1)}}},
			Run: github.WorkflowRun{Path: ".github/workflows/" + release.KMS.Workflow(), Event: "push",
				HeadBranch: tag.String(), HeadSHA: drilled, Actor: github.User{Login: "pusher"},
				Trigger: github.User{Login: "pusher"}}}
		run(&p.Run)
		_, results := p.Judge()
		return results[n]
	}
	same := func(*github.WorkflowRun) {}
	approved := review(github.ReviewApproved, "reviewer", Environment)
	out := []check.Drill{
		{Name: approvedName + ", nobody", Bad: judged(2, same)},
		{Name: approvedName + ", the pusher", Bad: judged(2, same, review(github.ReviewApproved, "Pusher", Environment))},
		{Name: approvedName + ", another environment",
			Bad: judged(2, same, review(github.ReviewApproved, "reviewer", "staging"))},
		{Name: approvedName + ", a rejection", Bad: judged(2, same, review(github.ReviewRejected, "reviewer", Environment))},
		{Name: runName + ", another commit", Bad: judged(0, func(r *github.WorkflowRun) { r.HeadSHA = "2" }, approved)},
		{Name: runName + ", another workflow",
			Bad: judged(0, func(r *github.WorkflowRun) { r.Path = ".github/workflows/ci.yaml" }, approved)},
		{Name: reviewedName, Bad: Reviewed(&github.DeploymentEnvironment{})},
	}
	for i := range out {
		out[i].Good, out[i].Code = judged(2, same, approved), fault.Verification
	}
	out[4].Good, out[5].Good, out[6].Good = judged(0, same, approved), judged(0, same, approved), judged(1, same, approved)
	return out
}
