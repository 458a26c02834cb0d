package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

const (
	tokenName  = "GitHub token"
	writeHint  = "a release wants contents: write and pull-requests: write; in the workflow under permissions:, of a token of yours at https://github.com/settings/tokens"
	jobsPrefix = "ghs_" // of an app's token, such as a job's own
)

// gitHub asks what the token may do: releases, tags and branches are contents.
func gitHub(ctx context.Context, p *patient) check.Results {
	env := p.env
	if env.GitHubToken == "" {
		return one(check.Fail(tokenName, fault.Verification, "there is none", "GITHUB_TOKEN", "not set").WithHint(writeHint))
	}
	client, err := env.GitHub()
	if err != nil {
		return one(failed(tokenName, err, "check GITHUB_REPOSITORY"))
	}
	access, err := client.Access(ctx)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return one(check.Fail(tokenName, fault.Verification, "it does not reach "+env.Config.Repository, "a token for this repository", "404").WithHint(writeHint))
	case err != nil:
		return one(failed(tokenName, err, "check that api.github.com is reached"))
	}
	return one(judgeToken(access, env.GitHubToken))
}

// judgeToken: GitHub names the scopes of classic tokens only, and tells nobody
// without a write what another token may do besides pushing.
func judgeToken(a github.Access, token config.Secret) check.Result {
	switch {
	case len(a.Scopes) > 0 && !slices.Contains(a.Scopes, "repo") && !slices.Contains(a.Scopes, "public_repo"):
		return check.Fail(tokenName, fault.Verification, "its scopes do not do", "repo, or public_repo for a public repository", strings.Join(a.Scopes, ", ")).WithHint(writeHint)
	case a.Push && len(a.Scopes) > 0:
		return check.Pass(tokenName + ": may push; scopes " + strings.Join(a.Scopes, ", "))
	case token.HasPrefix(jobsPrefix):
		return remark(tokenName, "valid; what a job's own token may do is in the workflow, under permissions: (contents: write, pull-requests: write)")
	case a.Push:
		return remark(tokenName, "may push; whether it may also open pull requests, GitHub says of classic tokens only")
	}
	return check.Fail(tokenName, fault.Verification, "it may not push", "contents: write", "read").WithHint(writeHint)
}
