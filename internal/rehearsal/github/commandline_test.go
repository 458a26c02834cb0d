package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// withHistory has a draft of v3, a latest v2 and a pre-release v1, each with an asset, and a pull request.
func withHistory(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, t.TempDir(), prompt)
	for _, tag := range []string{"v2", "v3"} {
		require.NoError(t, w.server.Push("refs/tags/"+tag, sha, nil))
	}
	for tag, change := range map[string]string{"v1": `{"draft":false}`, "v2": `{"draft":false,"prerelease":false}`} {
		id, _ := w.draft(tag)
		r := w.owner("PATCH", fmt.Sprintf("%sreleases/%d", api, id), change)
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	}
	w.draft("v3")
	require.NoError(t, w.server.Push("refs/heads/topic", strings.Repeat("b", 40), map[string][]byte{"a": []byte("1\n")}))
	r := w.owner("POST", api+"pulls", `{"title":"A proposal","head":"topic","base":"main","body":"why"}`)
	require.Equal(t, http.StatusCreated, r.status, "%s", r.body)
	return w
}

// GitHub's command line, as people have it, against the local GitHub.
func TestTheCommandLineOfPeople(t *testing.T) {
	t.Parallel()
	gh, err := exec.LookPath("gh")
	if err != nil {
		t.Skip("gh is not installed: people's commands are not tried")
	}
	w := withHistory(t)
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(t, n.Handle(host, w.server))
	}
	proxy, err := n.Proxy()
	require.NoError(t, err)
	home := t.TempDir()
	certificate := filepath.Join(home, "authority.pem")
	require.NoError(t, os.WriteFile(certificate, proxy.CertificatePEM, 0o600))
	run := func(token string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), gh, args...)
		cmd.Dir, cmd.Env = home, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GH_TOKEN=" + token,
			"GH_REPO=" + repository, "GH_NO_UPDATE_NOTIFIER=1", "HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + certificate}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for command, wants := range map[string][]string{
		"release list":           {"v1\tPre-release\tv1\t", "v2\tLatest\tv2\t", "v3\tDraft\tv3\t"},
		"release list --limit 1": {"v3\tDraft"},
		"release view v1":        {"tag:\tv1\n", "draft:\tfalse\n", "prerelease:\ttrue\n", "asset:\ta.json\n"},
		"release view":           {"tag:\tv2\n"},
		"release view v3":        {"tag:\tv3\n", "draft:\ttrue\n"},
		"pr list":                {"A proposal\ttopic\tOPEN"},
		"pr list --state merged": {},
		"pr list --head other":   {},
		"api repos/" + repository + "/releases/latest": {`"tag_name":"v2"`},
	} {
		t.Run(command, func(t *testing.T) {
			said, err := run(token, strings.Fields(command)...)
			require.NoError(t, err, said)
			for _, want := range wants {
				require.Contains(t, said, want)
			}
			if len(wants) == 0 {
				require.Empty(t, said)
			}
		})
	}
	for _, tag := range []string{"v1", "v3"} {
		said, err := run(token, "release", "download", tag, "--dir", tag)
		require.NoError(t, err, said)
		data, err := os.ReadFile(filepath.Join(home, tag, "a.json"))
		require.NoError(t, err)
		require.Equal(t, "{\"a\":1}\n", string(data))
	}
	for command, want := range map[string]string{
		"release view v9":                        "release not found",
		"issue list":                             "the local GitHub does not answer the query",
		"repo view calimero-network/mero-tee":    "the local GitHub does not answer the query RepositoryInfo",
		"pr list --search x":                     "the local GitHub does not answer the query PullRequestSearch",
		"api user":                               "Not Found (HTTP 404)",
		"release list -R calimero-network/other": "Could not resolve to a Repository with the name 'calimero-network/other'",
	} {
		said, err := run(token, strings.Fields(command)...)
		require.Error(t, err, command)
		require.Contains(t, said, want, command)
	}
	said, err := run("ghp_nobodys", "release", "list")
	require.Error(t, err)
	require.Contains(t, said, "Bad credentials")
}

// asked sends a query as that client does, with other white space.
func (w *world) asked(query string, variables map[string]any, headers ...string) reply {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(w.t, err)
	return w.do("POST", "https://api.github.com/graphql", string(body), headers...)
}

// The same without gh: what is answered, to whom, and how the rest is refused.
func TestQueries(t *testing.T) {
	t.Parallel()
	w := withHistory(t)
	const list = `query RepositoryReleaseList($endCursor: String, $name: String!, $owner: String!, $perPage: Int!) {
  repository(owner: $owner, name: $name) {
    releases(first: $perPage, orderBy: {field: CREATED_AT, direction: DESC}, after: $endCursor) {
      nodes { name, tagName, isDraft, isLatest, isPrerelease, createdAt, publishedAt }
      pageInfo { hasNextPage, endCursor }
    }
  }
}`
	owner := []string{"Authorization", "token " + token}
	job, err := w.server.JobToken(map[string]string{"contents": "read"})
	require.NoError(t, err)
	reader := []string{"Authorization", "Bearer " + job}
	page := func(after any, who ...string) (tags []string, next any) {
		r := w.asked(list, map[string]any{"owner": "calimero-network", "name": "mero-tee", "perPage": 2, "endCursor": after},
			who...)
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		releases := r.json(t)["data"].(map[string]any)["repository"].(map[string]any)["releases"].(map[string]any)
		for _, node := range releases["nodes"].([]any) {
			tags = append(tags, node.(map[string]any)["tagName"].(string))
		}
		info := releases["pageInfo"].(map[string]any)
		if info["hasNextPage"].(bool) {
			next = info["endCursor"]
		}
		return tags, next
	}
	first, next := page(nil, owner...)
	require.Contains(t, first, "v3")
	require.NotNil(t, next)
	second, next := page(next, owner...)
	require.Len(t, second, 1)
	require.Nil(t, next)
	public, _ := page(nil, reader...)
	require.ElementsMatch(t, []string{"v1", "v2"}, public, "a draft is for those who may push")

	for name, tc := range map[string]struct {
		query string
		who   []string
		says  string
	}{
		"a stranger's":       {list, nil, "requires you to be authenticated"},
		"with another token": {list, []string{"Authorization", "token ghp_x"}, "Bad credentials"},
		"another query":      {"query Viewer{viewer{login}}", owner, "does not answer the query Viewer"},
		"a change":           {"mutation DeleteRelease{x}", owner, "does not answer the query DeleteRelease"},
		"one without a name": {"{viewer{login}}", owner, "does not answer the query without a name"},
		"with another field": {strings.Replace(list, "isDraft", "isDraft, body", 1), owner, "or not with these fields"},
		"in another order":   {strings.Replace(list, "DESC", "ASC", 1), owner, "or not with these fields"},
		"a page of nothing":  {list, owner, "`first` is 0"},
	} {
		r := w.asked(tc.query, map[string]any{"owner": "calimero-network", "name": "mero-tee"}, tc.who...)
		require.Contains(t, string(r.body), tc.says, name)
		require.Contains(t, []int{http.StatusOK, http.StatusUnauthorized}, r.status, name)
	}
}

// GitHub says in JSON that there is nothing, of any path and method.
func TestPathsThatAreNoGitHubs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	for _, r := range []reply{w.owner("GET", "https://api.github.com/user", ""), w.owner("DELETE", api+"releases", ""),
		w.owner("GET", api+"nothing", ""), w.owner("POST", "https://uploads.github.com/x", "")} {
		require.Equal(t, http.StatusNotFound, r.status)
		require.Equal(t, "Not Found", r.json(t)["message"])
	}
}
