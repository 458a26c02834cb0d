package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cli/go-gh/v2/pkg/api"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// explain turns GitHub's answer into an error for people; doing names the attempt ("release v1").
func explain(doing string, err error) error {
	var refused *fault.Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	out := &fault.Error{Code: fault.General, Message: "github: " + doing, Err: err}
	answer, answered := statusOf(err)
	if !answered {
		return out
	}
	switch {
	case answer.StatusCode == http.StatusNotFound:
		out.Err = ErrNotFound
	case limited(answer):
		explainLimit(out, answer)
	case answer.StatusCode == http.StatusUnauthorized:
		out.Hint = "the token is missing, expired, or of somewhere else: see GITHUB_TOKEN"
	case answer.StatusCode == http.StatusForbidden:
		out.Expected, out.Got, out.Hint = wanted(answer), answer.Message, refusalHint(answer)
	}
	return out
}

// Missing is the error of who asked for something by its name ("release v1")
// and got err: code MissingAsset when GitHub says 404 and shows the repository.
// Where it does not show even that, nobody could look. Other errors stay as they are.
func (c *Client) Missing(ctx context.Context, name string, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if _, unseen := c.Access(ctx); unseen != nil {
		return &fault.Error{Code: fault.General, Message: "cannot look for " + name, Err: unseen,
			Hint: "GitHub answers 404 for a private repository to whom it does not know: see GITHUB_TOKEN"}
	}
	return &fault.Error{Code: fault.MissingAsset, Message: "there is no " + name + " in " + c.repository,
		Err:  ErrNotFound,
		Hint: "`go tool mage verify:recent 3` names the newest releases"}
}

// explainLimit says when a used-up hour ends. GitHub names no end of its secondary limit.
func explainLimit(out *fault.Error, answer *api.HTTPError) {
	out.Hint = "GitHub's rate limit is used up; wait some minutes and run the same command again, or set a token"
	reset, err := strconv.ParseInt(answer.Headers.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || answer.Headers.Get("X-RateLimit-Remaining") != "0" {
		return
	}
	out.Expected = fmt.Sprintf("requests left of the %s that this token has in an hour",
		answer.Headers.Get("X-RateLimit-Limit"))
	out.Got = "none until " + time.Unix(reset, 0).UTC().Format(time.RFC3339)
	out.Hint = "run the same command again after that: what is done is kept. " +
		"The rate limit is one for all jobs of a repository"
}

// wanted is the permission that GitHub asks for ("contents=write"), as a workflow's file spells it.
func wanted(answer *api.HTTPError) string {
	asked := answer.Headers.Get("X-Accepted-GitHub-Permissions")
	if asked == "" {
		return "contents: write, and pull-requests: write for pull requests"
	}
	return strings.NewReplacer("=", ": ", "_", "-", ",", ", ", "; ", ", or ").Replace(asked)
}

func refusalHint(answer *api.HTTPError) string {
	if strings.Contains(answer.Message, "not permitted to create or approve pull requests") {
		return "Settings, Actions, General: allow GitHub Actions to create and approve pull requests"
	}
	return "a job gets what its workflow's file has under permissions:, a token of yours what you chose at its making"
}

func mayNotMakeLabels(answer *api.HTTPError) bool {
	return answer.StatusCode == http.StatusForbidden && strings.Contains(answer.Message, "permission to create labels")
}

// explainWrite is explain for a release that is made or changed, where what
// GitHub refuses may be the workflow files, of which it says nothing.
func explainWrite(doing string, err error) error {
	out := explain(doing, err)
	var told *fault.Error
	answer, answered := statusOf(err)
	if !answered || limited(answer) || !errors.As(out, &told) ||
		answer.StatusCode != http.StatusForbidden && answer.StatusCode != http.StatusNotFound {
		return out
	}
	told.Expected = "a token with contents: write, and a release whose target has the workflow files of the default branch"
	told.Got = answer.Message
	told.Hint = "if the token may write contents, the release has a target of its own whose .github/workflows differ " +
		"from the default branch's, which no job's token may touch: delete the draft and run again; the drafts that we " +
		"make have no target, for their tag is there"
	return told
}
