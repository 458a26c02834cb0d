package github

import (
	"context"
	"fmt"
	"net/http"
)

// WorkflowRun is one run of a workflow, all of its attempts together.
type WorkflowRun struct {
	ID         int64  `json:"id"`
	Path       string `json:"path"`        // of the workflow's file; GitHub may write more before and after it
	Event      string `json:"event"`       // "push"
	HeadBranch string `json:"head_branch"` // the branch or the tag
	HeadSHA    string `json:"head_sha"`
	Attempt    int    `json:"run_attempt"`
	HTMLURL    string `json:"html_url"`
	Actor      User   `json:"actor"`            // who made the event
	Trigger    User   `json:"triggering_actor"` // who began the last attempt
}

// States of a DeploymentReview that decide.
const (
	ReviewApproved = "approved"
	ReviewRejected = "rejected"
)

// DeploymentReview is what a reviewer said of a run that waited for an
// environment. GitHub tells neither its time nor the attempt that it was about,
// and promises no order.
type DeploymentReview struct {
	State        string `json:"state"` // ReviewApproved, ReviewRejected, or "pending" for a remark
	Comment      string `json:"comment"`
	User         User   `json:"user"`
	Environments []struct {
		Name string `json:"name"`
	} `json:"environments"`
}

// DeploymentEnvironment is an environment of the repository, as far as a
// promotion rests on it.
type DeploymentEnvironment struct {
	Name    string           `json:"name"`
	HTMLURL string           `json:"html_url"`
	Rules   []ProtectionRule `json:"protection_rules"`
	Refs    *struct {
		Custom bool `json:"custom_branch_policies"` // patterns of branches and tags
	} `json:"deployment_branch_policy"` // nil: every branch and tag may deploy
}

// ProtectionRule is one of the conditions of an environment.
type ProtectionRule struct {
	Type        string     `json:"type"` // "required_reviewers", "wait_timer", "branch_policy"
	PreventSelf bool       `json:"prevent_self_review"`
	Reviewers   []struct{} `json:"reviewers"` // people and teams, six at most
}

// Reviewed is the rule that requires reviewers, and whether there is one.
func (e *DeploymentEnvironment) Reviewed() (ProtectionRule, bool) {
	for _, r := range e.Rules {
		if r.Type == "required_reviewers" && len(r.Reviewers) > 0 {
			return r, true
		}
	}
	return ProtectionRule{}, false
}

// WorkflowRun reads a run.
func (c *Client) WorkflowRun(ctx context.Context, id int64) (*WorkflowRun, error) {
	run := &WorkflowRun{}
	err := c.idempotent(ctx, http.MethodGet, fmt.Sprintf("actions/runs/%d", id), nil, run)
	return run, explain(fmt.Sprintf("workflow run %d", id), err)
}

// DeploymentReviews lists what reviewers said of a run. GitHub makes no pages of it.
func (c *Client) DeploymentReviews(ctx context.Context, run int64) ([]DeploymentReview, error) {
	var all []DeploymentReview
	err := c.idempotent(ctx, http.MethodGet, fmt.Sprintf("actions/runs/%d/approvals", run), nil, &all)
	return all, explain(fmt.Sprintf("approvals of workflow run %d", run), err)
}

// Environment reads an environment; ErrNotFound when nobody made it.
func (c *Client) Environment(ctx context.Context, name string) (*DeploymentEnvironment, error) {
	e := &DeploymentEnvironment{}
	err := c.idempotent(ctx, http.MethodGet, "environments/"+segment(name), nil, e)
	return e, explain("environment "+name, err)
}

// Forbidden says whether an error is GitHub's refusal of the token, which says
// nothing of what was asked for.
func Forbidden(err error) bool {
	answer, answered := statusOf(err)
	return answered && !limited(answer) &&
		(answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized)
}
