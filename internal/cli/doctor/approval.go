package doctor

import (
	"context"
	"errors"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/clearance"
)

const (
	environmentName   = "environment " + clearance.Environment
	environmentAdvice = "docs/releasing.md, section 1, says how the environment is set up"
	rulesName         = "rules of main"
)

// approval asks whether the promotion of a stable release will wait for a
// reviewer, and whether CI is required of main.
func approval(ctx context.Context, t *target) check.Results {
	if !t.performs("kms:version", "node:version", "kms:promote", "node:promote") {
		return nil
	}
	client, err := t.env.GitHub()
	if err != nil {
		return one(failed(environmentName, err, "check GITHUB_REPOSITORY"))
	}
	return check.Results{t.reviewers(ctx, client), rulesOfMain(ctx, client)}
}

func (t *target) reviewers(ctx context.Context, client *github.Client) check.Result {
	e, err := client.Environment(ctx, clearance.Environment)
	switch {
	case errors.Is(err, github.ErrNotFound):
		e = nil
	case github.Forbidden(err):
		return remark(environmentName, "could not look: the token may not read it (actions: read)")
	case err != nil:
		return failed(environmentName, err, "check that api.github.com is reached")
	}
	if r := clearance.Reviewed(e); !r.OK() {
		return t.withoutReviewers(r)
	}
	rule, _ := e.Reviewed()
	switch {
	case !rule.PreventSelf:
		return remark(environmentName, "requires reviewers, and lets who pushed the tag be one, whose approval a "+
			"promotion refuses: prevent self-review").WithHint(environmentAdvice)
	case e.Refs == nil || !e.Refs.Custom:
		return remark(environmentName, "requires reviewers, and lets other tags and branches deploy than those of "+
			"releases").WithHint(environmentAdvice)
	}
	return check.Pass(environmentName + ": requires reviewers, of others")
}

// withoutReviewers stops a stable release at its promotion, and no candidate.
func (t *target) withoutReviewers(r check.Result) check.Result {
	stable := func(f release.Family) bool { return !t.env.Config.Version(f).IsCandidate() }
	if !slices.ContainsFunc(t.families, stable) {
		return remark(environmentName, "%s; a stable release would not be promoted", r.Reason).WithHint(r.Hint)
	}
	r.Name = environmentName
	return r
}

// rulesOfMain: without a rule our own checks are demanded of a release all the
// same, but main takes what they refuse.
func rulesOfMain(ctx context.Context, client *github.Client) check.Result {
	rules, err := client.RequiredChecks(ctx, clearance.Branch)
	if err != nil {
		return failed(rulesName, err, "a release reads them for CI's verdict: check that api.github.com is reached")
	}
	for _, name := range clearance.Own() {
		if !slices.ContainsFunc(rules, func(r github.RequiredCheck) bool { return r.Context == name }) {
			return remark(rulesName, "no ruleset requires the check %s; a release does", name).WithHint(environmentAdvice)
		}
	}
	return check.Pass(rulesName + ": require what a release requires")
}
