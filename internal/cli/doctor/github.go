package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

const (
	tokenName = "GitHub token"
	writeHint = "a release wants contents: write and pull-requests: write; in the workflow under permissions:, " +
		"of a token of yours at https://github.com/settings/tokens"
	jobsPrefix = "ghs_" // of an app's token, such as a job's own
)

// gitHub asks what the token may do: releases, tags and branches are contents.
func gitHub(ctx context.Context, t *target) check.Results {
	if t.env.GitHubToken == "" {
		return one(fail(tokenName, "there is none", "GITHUB_TOKEN", "not set", writeHint))
	}
	client, err := t.env.GitHub()
	if err != nil {
		return one(failed(tokenName, err, "check GITHUB_REPOSITORY"))
	}
	access, err := client.Access(ctx)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return one(fail(tokenName, "it does not reach "+t.env.Config.Repository,
			"a token for this repository", "404", writeHint))
	case err != nil:
		return one(failed(tokenName, err, "check that api.github.com is reached"))
	}
	if t.env.Config.Actions && t.env.GitHubToken.HasPrefix(jobsPrefix) {
		return one(check.Pass(tokenName + ": the job's own, with what the workflow permits"))
	}
	return one(judgeToken(access, t.env.GitHubToken))
}

// judgeToken: GitHub names the scopes of classic tokens only, and tells nobody
// without a write what another token may do besides pushing.
func judgeToken(a github.Access, token config.Secret) check.Result {
	scopes := strings.Join(a.Scopes, ", ")
	switch {
	case len(a.Scopes) > 0 && !slices.Contains(a.Scopes, "repo") && !slices.Contains(a.Scopes, "public_repo"):
		return fail(tokenName, "its scopes do not do", "repo, or public_repo for a public repository", scopes, writeHint)
	case a.Push && len(a.Scopes) > 0:
		return check.Pass(tokenName + ": may push; scopes " + scopes)
	case token.HasPrefix(jobsPrefix):
		return remark(tokenName, "valid; what a job's own token may do is in the workflow, under permissions: "+
			"(contents: write, pull-requests: write)")
	case a.Push:
		return remark(tokenName, "may push; whether it may also open pull requests, GitHub says of classic tokens only")
	}
	return fail(tokenName, "it may not push", "contents: write", "read", writeHint)
}
