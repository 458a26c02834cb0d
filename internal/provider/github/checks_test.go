package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

func documented(o *rehearsal.Options) { o.Settings = rehearsal.Documented("ann", "ben") }

// Lists in a field of an object have pages too, and GitHub's words come through.
func TestWhatIsSaidOfACommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, documented)
	for i := range 150 {
		require.NoError(t, w.server.Report(rehearsal.Check{Commit: commit, Name: fmt.Sprint("n", i), App: rehearsal.Actions,
			Conclusion: "success"}))
	}
	c := w.client(token)
	runs, err := c.CheckRuns(t.Context(), commit)
	require.NoError(t, err)
	require.Len(t, runs, 152)
	require.Len(t, w.requests, 2, "pages of 100")
	require.Equal(t, "n149", runs[0].Name)
	require.Equal(t, github.App{ID: 15368, Slug: "github-actions"}, runs[0].App)
	require.Equal(t, "success", runs[0].Conclusion)
	require.Empty(t, runs[151].Conclusion, "one that has not ended has none")

	require.NoError(t, w.server.SayStatus(commit, "ci", "error", "ann"))
	statuses, err := c.Statuses(t.Context(), commit)
	require.NoError(t, err)
	require.Equal(t, "ann", statuses[0].Creator.Login)

	rules, err := c.RequiredChecks(t.Context(), "main")
	require.NoError(t, err)
	require.Equal(t, []github.RequiredCheck{{Context: "ci", App: 15368}, {Context: "pr-doc-guard", App: 15368}}, rules)
	rules, err = c.RequiredChecks(t.Context(), "other")
	require.NoError(t, err)
	require.Empty(t, rules)

	later, err := w.server.Merge("later", nil)
	require.NoError(t, err)
	for _, sha := range []string{commit, later} {
		on, err := c.OnBranch(t.Context(), "main", sha)
		require.NoError(t, err)
		require.True(t, on)
	}
	require.NoError(t, w.server.Push("refs/heads/hotfix/a", commit, nil))
	ahead := strings.Repeat("e", 40)
	require.NoError(t, w.server.Push("refs/heads/hotfix/a", ahead, nil))
	on, err := c.OnBranch(t.Context(), "main", ahead)
	require.NoError(t, err)
	require.False(t, on)
	_, err = c.OnBranch(t.Context(), "main", strings.Repeat("f", 40))
	require.ErrorIs(t, err, github.ErrNotFound)
	_, err = c.CheckRuns(t.Context(), strings.Repeat("f", 40))
	require.ErrorIs(t, err, github.ErrNotFound)
	require.ErrorContains(t, err, "is not on GitHub")
}

// An answer without the list is none, and no empty list.
func TestAnAnswerWithoutItsList(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"{}", `{"total_count":0}`, "[]", `{"check_runs":{}}`} {
		w := newWorld(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(body)) })
		})
		_, err := w.client(token).CheckRuns(t.Context(), commit)
		require.Equal(t, fault.General, fault.CodeOf(err), body)
	}
}

func TestWhoApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, documented)
	id, err := w.server.StartRun(rehearsal.Run{Workflow: "w.yaml", Tag: "v1", Commit: commit, Actor: "ann"})
	require.NoError(t, err)
	require.NoError(t, w.server.Review(id, rehearsal.Review{Environment: "release-auditor", By: "ben", State: "approved",
		Comment: "fine"}))
	c := w.client(token)
	run, err := c.WorkflowRun(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, &github.WorkflowRun{ID: id, Path: ".github/workflows/w.yaml", Event: "push", HeadBranch: "v1",
		HeadSHA: commit, Attempt: 1, HTMLURL: fmt.Sprintf("https://github.com/%s/actions/runs/%d", repository, id),
		Actor: github.User{Login: "ann"}, Trigger: github.User{Login: "ann"}}, run)
	reviews, err := c.DeploymentReviews(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, reviews, 1)
	require.Equal(t, github.ReviewApproved, reviews[0].State)
	require.Equal(t, "release-auditor", reviews[0].Environments[0].Name)
	e, err := c.Environment(t.Context(), "release-auditor")
	require.NoError(t, err)
	rule, reviewed := e.Reviewed()
	require.True(t, reviewed)
	require.True(t, rule.PreventSelf)
	require.True(t, e.Refs.Custom)
	_, err = c.Environment(t.Context(), "other")
	require.ErrorIs(t, err, github.ErrNotFound)
	require.False(t, github.Forbidden(err))

	job, err := w.server.JobToken(map[string]string{"contents": "write"})
	require.NoError(t, err)
	_, err = w.client(job).Environment(t.Context(), "release-auditor")
	require.True(t, github.Forbidden(err))
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "environment release-auditor")
}
