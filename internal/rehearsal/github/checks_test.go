package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

// checks are the names, apps and conclusions of a commit's check runs.
func (w *world) checks(commit, query string) (out []string) {
	w.t.Helper()
	r := w.do("GET", api+"commits/"+commit+"/check-runs"+query, "")
	require.Equal(w.t, http.StatusOK, r.status, "%s", r.body)
	for _, one := range r.json(w.t)["check_runs"].([]any) {
		run := one.(map[string]any)
		out = append(out, fmt.Sprint(run["name"], " ", run["app"].(map[string]any)["slug"], " ", run["conclusion"]))
	}
	return out
}

func TestAPushStartsTheChecksOfItsBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	queued := []string{"pr-doc-guard github-actions <nil>", "ci github-actions <nil>"}
	require.Equal(t, queued, w.checks(sha, ""), "main, and not once more for the tag")
	for branch, want := range map[string][]string{"hotfix/1.0.1": queued, "feature": nil} {
		commit := strings.Repeat(fmt.Sprint(len(branch)%10), 40)
		require.NoError(t, w.server.Push("refs/heads/"+branch, commit, nil))
		require.Equal(t, want, w.checks(commit, ""), branch)
	}
	require.NoError(t, w.server.Push("refs/heads/main", sha, nil))
	require.Len(t, w.checks(sha, "?filter=all"), 2, "a push of nothing starts nothing")
}

func TestACheckThatRanAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	require.NoError(t, w.server.Conclude(sha, "failure"))
	require.NoError(t, w.server.Report(rehearsal.Check{Commit: sha, Name: "ci", App: rehearsal.Actions, Reads: 1}))
	require.Equal(t, []string{"ci github-actions <nil>", "pr-doc-guard github-actions failure"}, w.checks(sha, ""))
	require.Equal(t, []string{"ci github-actions success", "pr-doc-guard github-actions failure",
		"ci github-actions failure"}, w.checks(sha, "?filter=all"))
}

func TestAStatusIsNoCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	require.NoError(t, w.server.Withdraw(sha))
	require.NoError(t, w.server.SayStatus(sha, "ci", "failure", "ann"))
	require.NoError(t, w.server.SayStatus(sha, "ci", "success", "ben"))
	require.Empty(t, w.checks(sha, ""))
	body := string(w.do("GET", api+"commits/"+sha+"/statuses", "").body)
	require.Less(t, strings.Index(body, `"ben"`), strings.Index(body, `"ann"`), "the newest first")
	require.Equal(t, http.StatusUnprocessableEntity, w.do("GET", api+"commits/ff/statuses", "").status)
}

func TestRulesOfABranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	require.NotContains(t, string(w.do("GET", api+"rules/branches/main", "").body), "required_status_checks")
	w.server.Change(func(s *rehearsal.Settings) { *s = rehearsal.Documented("ann") })
	require.Contains(t, string(w.do("GET", api+"rules/branches/main", "").body),
		`{"context":"ci","integration_id":15368}`)
	require.Equal(t, "[]\n", string(w.do("GET", api+"rules/branches/other", "").body))
}

func TestCompare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	later, err := w.server.Merge("later", map[string][]byte{"a": nil})
	require.NoError(t, err)
	b, c := strings.Repeat("b", 40), strings.Repeat("c", 40)
	require.NoError(t, w.server.Push("refs/heads/hotfix/x", sha, nil))
	require.NoError(t, w.server.Push("refs/heads/hotfix/x", b, nil))
	require.NoError(t, w.server.Push("refs/heads/alone", c, nil))
	for head, want := range map[string]any{later: "identical", sha: "behind", b: "diverged"} {
		require.Equal(t, want, w.do("GET", api+"compare/main..."+head, "").json(t)["status"], head)
	}
	require.Equal(t, "ahead", w.do("GET", api+"compare/"+sha+"..."+b, "").json(t)["status"])
	for _, head := range []string{c, "nothing"} {
		require.Equal(t, http.StatusNotFound, w.do("GET", api+"compare/main..."+head, "").status)
	}
}

func TestAJobReadsWhatItsPermissionsSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.server.Change(func(s *rehearsal.Settings) { *s = rehearsal.Documented("ann", "ben") })
	run, err := w.server.StartRun(rehearsal.Run{Workflow: "w.yaml", Tag: "v1", Commit: sha, Actor: "ann"})
	require.NoError(t, err)
	for path, permission := range map[string]string{
		"commits/" + sha + "/check-runs":              "checks",
		"commits/" + sha + "/statuses":                "statuses",
		"compare/main..." + sha:                       "contents",
		fmt.Sprintf("actions/runs/%d", run):           "actions",
		fmt.Sprintf("actions/runs/%d/approvals", run): "actions",
		"environments/release-auditor":                "actions",
	} {
		require.Equal(t, http.StatusOK, w.do("GET", api+path, "").status, "a stranger reads what is public: %s", path)
		require.Equal(t, http.StatusOK, w.as(w.job(permissions{permission: "read"}), "GET", api+path, "").status, path)
		refused := w.as(w.job(permissions{"packages": "write"}), "GET", api+path, "")
		require.Equal(t, http.StatusForbidden, refused.status, path)
		require.Equal(t, permission+"=read", refused.header.Get("X-Accepted-GitHub-Permissions"))
	}
}

func TestAnEnvironmentAsGitHubShowsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	at := api + "environments/release-auditor"
	require.Equal(t, http.StatusNotFound, w.do("GET", at, "").status)
	w.server.Change(func(s *rehearsal.Settings) {
		s.Environments = map[string]rehearsal.Environment{"release-auditor": {}}
	})
	bare := w.do("GET", at, "").json(t)
	require.Empty(t, bare["protection_rules"])
	require.Nil(t, bare["deployment_branch_policy"])
	w.server.Change(func(s *rehearsal.Settings) { *s = rehearsal.Documented("ann", "ben") })
	whole := w.do("GET", at, "").json(t)
	require.Len(t, whole["protection_rules"], 2)
	require.Equal(t, true, whole["protection_rules"].([]any)[0].(map[string]any)["prevent_self_review"])
}

func TestReviewsOfARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.server.Change(func(s *rehearsal.Settings) { *s = rehearsal.Documented("ann", "ben") })
	run, err := w.server.StartRun(rehearsal.Run{Workflow: "w.yaml", Tag: "v1", Commit: sha, Actor: "ann"})
	require.NoError(t, err)
	say := func(by, environment, state string) error {
		return w.server.Review(run, rehearsal.Review{Environment: environment, By: by, State: state})
	}
	require.Error(t, say("ann", "release-auditor", "approved"), "who pushed")
	require.Error(t, say("eve", "release-auditor", "approved"), "no reviewer")
	require.Error(t, say("ben", "staging", "approved"), "no environment")
	require.NoError(t, say("ben", "release-auditor", "rejected"))
	require.NoError(t, w.server.Rerun(run, "ben"))
	require.Error(t, say("ben", "release-auditor", "approved"), "who ran it again")
	require.NoError(t, say("ann", "release-auditor", "approved"))
	shown := w.do("GET", fmt.Sprintf("%sactions/runs/%d", api, run), "").json(t)
	require.Equal(t, "ann", shown["actor"].(map[string]any)["login"])
	require.Equal(t, "ben", shown["triggering_actor"].(map[string]any)["login"])
	require.Equal(t, "v1", shown["head_branch"])
	require.InDelta(t, 2, shown["run_attempt"], 0)
	reviews := string(w.do("GET", fmt.Sprintf("%sactions/runs/%d/approvals", api, run), "").body)
	require.Contains(t, reviews, `"rejected"`)
	require.Contains(t, reviews, `"approved"`)
	require.NotContains(t, reviews, "attempt")
	for _, path := range []string{"actions/runs/99", "actions/runs/99/approvals", "actions/runs/x"} {
		require.Equal(t, http.StatusNotFound, w.do("GET", api+path, "").status)
	}
	require.Error(t, w.server.Rerun(99, "ben"))
	found, there, err := w.server.RunOf("v1")
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t, run, found)
}
