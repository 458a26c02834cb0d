package github_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

type permissions = map[string]string

// as sends a request with a token of the local GitHub.
func (w *world) as(token, method, url, body string, headers ...string) reply {
	w.t.Helper()
	return w.do(method, url, body, append(headers, "Authorization", "token "+token)...)
}

func (w *world) job(p permissions) string {
	w.t.Helper()
	token, err := w.server.JobToken(p)
	require.NoError(w.t, err)
	return token
}

// writing are the requests that change something, with the permission that each takes.
func writing(release, asset int64) map[string]string {
	return map[string]string{
		"POST " + api + "releases":                                        "contents",
		fmt.Sprintf("PATCH %sreleases/%d", api, release):                  "contents",
		fmt.Sprintf("POST %sreleases/%d/assets?name=b", uploads, release): "contents",
		fmt.Sprintf("DELETE %sreleases/assets/%d", api, asset):            "contents",
		"POST " + api + "git/refs":                                        "contents",
		"PATCH " + api + "git/refs/heads/main":                            "contents",
		"DELETE " + api + "git/refs/heads/none":                           "contents",
		"POST " + api + "git/trees":                                       "contents",
		"POST " + api + "git/commits":                                     "contents",
		"POST " + api + "git/tags":                                        "contents",
		"PUT " + api + "contents/a.json":                                  "contents",
		"POST " + api + "pulls":                                           "pull-requests",
		"POST " + api + "issues/1/labels":                                 "issues",
		"POST " + api + "statuses/" + sha:                                 "statuses",
	}
}

func TestAJobsTokenGoesAsFarAsItsPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), func(o *rehearsal.Options) { o.ActionsOpenPulls = true })
	rel, asset := w.draft("v1")
	all := permissions{"contents": "write", "pull-requests": "write", "issues": "write", "statuses": "write"}
	for request, needed := range writing(rel, asset) {
		var method, url string
		_, err := fmt.Sscan(request, &method, &url)
		require.NoError(t, err)
		for _, level := range []string{"read", "none", ""} {
			less := permissions{}
			for name := range all {
				less[name] = "write"
			}
			if less[needed] = level; level == "" {
				delete(less, needed)
			}
			if needed == "issues" {
				less["pull-requests"] = "read" // either of the two would do
			}
			got := w.as(w.job(less), method, url, "{}")
			require.Equal(t, http.StatusForbidden, got.status, "%s with %v: %s", request, less, got.body)
			require.Equal(t, "Resource not accessible by integration", got.json(t)["message"])
			require.Contains(t, got.header.Get("X-Accepted-GitHub-Permissions"), "=write")
		}
		require.Equal(t, http.StatusUnauthorized, w.do(method, url, "{}").status, "%s by a stranger", request)
		got := w.as(w.job(all), method, url, "{}")
		require.NotContains(t, []int{401, 403}, got.status, "%s: %s", request, got.body)
	}
	require.Equal(t, http.StatusOK, w.as(w.job(nil), "GET", api+"tags", "").status, "what is public, everybody reads")
}

func TestAPersonsTokenGoesAsFarAsItsScopesOrPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	fine := func(p permissions) string {
		token, err := w.server.FineGrainedToken(p)
		require.NoError(t, err)
		return token
	}
	classic := func(scopes ...string) string {
		token, err := w.server.ClassicToken(scopes...)
		require.NoError(t, err)
		return token
	}
	for name, tc := range map[string]struct {
		token   string
		status  int
		message string
		scopes  string
	}{
		"fine-grained": {fine(permissions{"contents": "write"}), 201, "", ""},
		"fine-grained, reads": {fine(permissions{"contents": "read"}), 403,
			"Resource not accessible by personal access token", ""},
		"classic":                     {classic("repo"), 201, "", "repo"},
		"classic, of public ones":     {classic("public_repo", "read:org"), 201, "", "public_repo, read:org"},
		"classic without a scope":     {classic(), 404, "Not Found", ""},
		"classic, for packages":       {classic("write:packages"), 404, "Not Found", "write:packages"},
		"one that nobody made":        {"ghp_x", 401, "Bad credentials", ""},
		"one of another installation": {"ghs_x", 401, "Bad credentials", ""},
		"the repository's own, read": {w.job(permissions{"contents": "read"}), 403,
			"Resource not accessible by integration", ""},
		"the repository's own, writes": {w.job(permissions{"contents": "write"}), 201, "", ""},
	} {
		got := w.as(tc.token, "POST", api+"releases", `{"tag_name":"v1","draft":true}`)
		require.Equal(t, tc.status, got.status, "%s: %s", name, got.body)
		require.Equal(t, tc.scopes, got.header.Get("X-OAuth-Scopes"), name)
		if tc.message != "" {
			require.Equal(t, tc.message, got.json(t)["message"], name)
		}
	}
}

// "Only users with push access will receive listings for draft releases."
func TestDraftsAreHiddenFromTokensThatMayNotPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	rel, asset := w.draft("v1")
	reads, writes := w.job(permissions{"contents": "read"}), w.job(permissions{"contents": "write"})
	require.JSONEq(t, "[]", string(w.as(reads, "GET", api+"releases", "").body))
	require.NotEqual(t, "[]\n", string(w.as(writes, "GET", api+"releases", "").body))
	for _, url := range []string{fmt.Sprintf("%sreleases/%d", api, rel), fmt.Sprintf("%sreleases/assets/%d", api, asset),
		fmt.Sprintf("%sreleases/%d/assets", api, rel)} {
		require.Equal(t, http.StatusNotFound, w.as(reads, "GET", url, "").status, url)
		require.Equal(t, http.StatusOK, w.as(writes, "GET", url, "").status, url)
	}
}

func TestANewLabelNeedsTheRightToWriteIssues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	require.Equal(t, http.StatusCreated, w.owner("POST", api+"git/refs", `{"ref":"refs/heads/b","sha":"`+sha+`"}`).status)
	require.Equal(t, http.StatusCreated,
		w.owner("PUT", api+"contents/n.json", `{"message":"m","content":"e30=","branch":"b"}`).status)
	opened := w.owner("POST", api+"pulls", `{"title":"t","head":"b","base":"main"}`)
	require.Equal(t, http.StatusCreated, opened.status)
	labels := fmt.Sprintf("%sissues/%.0f/labels", api, opened.json(t)["number"])
	job := w.job(permissions{"pull-requests": "write"})
	got := w.as(job, "POST", labels, `{"labels":["new"]}`)
	require.Equal(t, http.StatusForbidden, got.status)
	require.Equal(t, "You do not have permission to create labels on this repository.", got.json(t)["message"])
	require.Equal(t, http.StatusOK,
		w.as(w.job(permissions{"issues": "write"}), "POST", labels, `{"labels":["new"]}`).status)
	require.Equal(t, http.StatusOK, w.as(job, "POST", labels, `{"labels":["new"]}`).status, "it is known now")
}

func TestActionsOpenPullRequestsOnlyWhereTheRepositoryLetsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	job := w.job(permissions{"contents": "write", "pull-requests": "write"})
	const body = `{"title":"t","head":"none","base":"main"}`
	got := w.as(job, "POST", api+"pulls", body)
	require.Equal(t, http.StatusForbidden, got.status)
	require.Equal(t, "GitHub Actions is not permitted to create or approve pull requests.", got.json(t)["message"])
	require.Equal(t, http.StatusUnprocessableEntity, w.owner("POST", api+"pulls", body).status, "people are")
}

// "Events triggered by the GITHUB_TOKEN will not create a new workflow run."
func TestAPullRequestOfAJobStartsNoChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), func(o *rehearsal.Options) { o.ActionsOpenPulls = true })
	job := w.job(permissions{"contents": "write", "pull-requests": "write"})
	for token, checks := range map[string]float64{job: 0, token: 2} {
		branch := fmt.Sprintf("b%.0f", checks)
		require.Equal(t, http.StatusCreated,
			w.as(token, "POST", api+"git/refs", `{"ref":"refs/heads/`+branch+`","sha":"`+sha+`"}`).status)
		made := w.as(token, "PUT", api+"contents/"+branch, `{"message":"m","content":"e30=","branch":"`+branch+`"}`)
		require.Equal(t, http.StatusCreated, made.status, "%s", made.body)
		opened := w.as(token, "POST", api+"pulls", `{"title":"t","head":"`+branch+`","base":"main"}`)
		require.Equal(t, http.StatusCreated, opened.status, "%s", opened.body)
		head := made.json(t)["commit"].(map[string]any)["sha"].(string)
		got := w.do("GET", api+"commits/"+head+"/check-runs", "")
		require.Equal(t, http.StatusOK, got.status, "%s", got.body)
		require.Equal(t, checks, got.json(t)["total_count"])
	}
	require.Equal(t, http.StatusUnprocessableEntity, w.do("GET", api+"commits/ff/check-runs", "").status)
}

func TestTokensOutliveTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := newWorld(t, dir).job(permissions{"contents": "read"})
	w := newWorld(t, dir)
	require.Equal(t, http.StatusForbidden, w.as(token, "POST", api+"releases", "{}").status)
	require.True(t, w.server.Knows(token))
	require.Equal(t, token, w.job(permissions{"contents": "read"}))
	require.NotEqual(t, token, w.job(permissions{"contents": "write"}))
	require.False(t, newWorld(t, t.TempDir()).server.Knows(token), "another repository's")
}

func TestPermissionsThatNoWorkflowKnows(t *testing.T) {
	t.Parallel()
	s, err := rehearsal.New(rehearsal.Options{Dir: t.TempDir(), Repository: repository, Token: token})
	require.NoError(t, err)
	for _, p := range []permissions{{"workflows": "write"}, {"administration": "read"}, {"contents": "admin"},
		{"": "read"}} {
		_, err := s.JobToken(p)
		require.Error(t, err, "%v", p)
	}
}

// What a token allows at the package registry; "GitHub Packages only supports authentication using a personal access
// token (classic)", and a job's own.
func TestPackagesOfAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	made := func(token string, err error) string {
		require.NoError(t, err)
		return token
	}
	for token, want := range map[string]string{
		w.job(permissions{"packages": "write"}):                                 "write",
		w.job(permissions{"packages": "read"}):                                  "read",
		w.job(permissions{"contents": "write"}):                                 "none",
		made(w.server.ClassicToken("repo", "write:packages")):                   "write",
		made(w.server.ClassicToken("read:packages")):                            "read",
		made(w.server.ClassicToken("repo")):                                     "none",
		made(w.server.FineGrainedToken(map[string]string{"packages": "write"})): "none",
	} {
		level, known := w.server.Packages(token)
		require.True(t, known)
		require.Equal(t, want, level, token)
	}
	level, known := w.server.Packages("ghs_x")
	require.False(t, known)
	require.Equal(t, "none", level)
}
