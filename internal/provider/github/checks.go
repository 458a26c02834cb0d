package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// CheckRun is one run of a check on a commit. Apps alone make them, such as
// GitHub Actions, one for each job of a workflow.
type CheckRun struct {
	ID         int64  `json:"id"` // a later run has a higher one
	Name       string `json:"name"`
	HeadSHA    string `json:"head_sha"`   // the commit
	Status     string `json:"status"`     // "completed" when it has ended
	Conclusion string `json:"conclusion"` // "success", "failure", "skipped"…; empty before the end
	HTMLURL    string `json:"html_url"`
	App        App    `json:"app"`
}

// App is who made a check run.
type App struct {
	ID   int64  `json:"id"`
	Slug string `json:"slug"`
}

// Status is a commit status: a word that anybody who may write to the
// repository can say about a commit.
type Status struct {
	Context   string `json:"context"`
	State     string `json:"state"` // "success", "pending", "failure" or "error"
	TargetURL string `json:"target_url"`
	Creator   User   `json:"creator"`
}

// User is somebody on GitHub, or an app there.
type User struct {
	Login string `json:"login"`
}

// RequiredCheck is a status check that must pass before a branch is updated.
type RequiredCheck struct {
	Context string `json:"context"`
	App     int64  `json:"integration_id"` // that must report it; 0: the rule names none
}

// CheckRuns lists every run of every check on a commit, repetitions among them;
// ErrNotFound when GitHub does not know the commit.
func (c *Client) CheckRuns(ctx context.Context, commit string) ([]CheckRun, error) {
	all, err := pagesIn[CheckRun](ctx, c, "commits/"+segment(commit)+"/check-runs", "check_runs",
		url.Values{"filter": {"all"}})
	if rejected(err) { // "No commit found for SHA", with 422
		return nil, &fault.Error{Code: fault.General, Message: "commit " + commit + " is not on GitHub", Err: ErrNotFound,
			Hint: "push it, and let CI run on it"}
	}
	return all, explain("check runs of "+commit, err)
}

// Statuses lists what was ever said of a commit, the newest first.
func (c *Client) Statuses(ctx context.Context, commit string) ([]Status, error) {
	all, err := pages[Status](ctx, c, "commits/"+segment(commit)+"/statuses", url.Values{})
	return all, explain("statuses of "+commit, err)
}

// RequiredChecks lists the status checks that the rulesets of the repository and
// of its organization require of a branch. Classic branch protection is not
// among them: GitHub shows it to administrators alone.
func (c *Client) RequiredChecks(ctx context.Context, branch string) (out []RequiredCheck, err error) {
	rules, err := pages[struct {
		Type       string
		Parameters struct {
			Checks []RequiredCheck `json:"required_status_checks"`
		}
	}](ctx, c, "rules/branches/"+segment(branch), url.Values{})
	for _, rule := range rules {
		if rule.Type == "required_status_checks" {
			out = append(out, rule.Parameters.Checks...)
		}
	}
	return out, explain("rules of branch "+branch, err)
}

// OnBranch says whether a commit lies on a branch, as GitHub knows the branch now.
func (c *Client) OnBranch(ctx context.Context, branch, commit string) (bool, error) {
	var out struct{ Status string }
	path := "compare/" + segment(branch) + "..." + segment(commit) + "?per_page=1"
	if err := c.idempotent(ctx, http.MethodGet, path, nil, &out); err != nil {
		return false, explain(fmt.Sprintf("compare %s with %s", branch, commit), err)
	}
	return out.Status == "identical" || out.Status == "behind", nil
}
