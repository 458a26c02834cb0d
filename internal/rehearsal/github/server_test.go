package github_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

const (
	repository = "calimero-network/mero-tee"
	token      = "ghs_secret"
	api        = "https://api.github.com/repos/" + repository + "/"
	uploads    = "https://uploads.github.com/repos/" + repository + "/"
	web        = "https://github.com/" + repository + "/"
)

var sha = strings.Repeat("a", 40)

// world is a server and a plain HTTP client that reaches it under production's names.
type world struct {
	t      *testing.T
	dir    string
	server *rehearsal.Server
	http   *http.Client
}

func newWorld(t *testing.T, dir string, change ...func(*rehearsal.Options)) *world {
	t.Helper()
	o := rehearsal.Options{Dir: dir, Repository: repository, Token: token}
	for _, f := range change {
		f(&o)
	}
	s, err := rehearsal.New(o)
	require.NoError(t, err)
	require.NoError(t, s.Push("refs/heads/main", sha, map[string][]byte{"catalog/c.json": []byte("{}\n")}))
	require.NoError(t, s.Push("refs/tags/v1", sha, nil))
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(t, n.Handle(host, s))
	}
	keepRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &world{t, dir, s, &http.Client{Transport: n.Transport(), CheckRedirect: keepRedirects}}
}

// prompt is a GitHub whose reads are never late.
func prompt(o *rehearsal.Options) { o.Prompt = true }

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(r.body, &m), "%s", r.body)
	return m
}

// list is the answer, when it is a list.
func (r reply) list(t *testing.T) (out []map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(r.body, &out), "%s", r.body)
	return out
}

// do sends a request; headers alternate names and values.
func (w *world) do(method, url, body string, headers ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.http.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return reply{resp.StatusCode, resp.Header, got}
}

func (w *world) owner(method, url, body string, headers ...string) reply {
	w.t.Helper()
	return w.do(method, url, body, append(headers, "Authorization", "Bearer "+token)...)
}

// draft makes a draft release with one asset and returns their ids.
func (w *world) draft(tag string) (release, asset int64) {
	w.t.Helper()
	r := w.owner("POST", api+"releases",
		fmt.Sprintf(`{"tag_name":%q,"target_commitish":%q,"draft":true,"prerelease":true}`, tag, sha))
	require.Equal(w.t, http.StatusCreated, r.status, "%s", r.body)
	release = int64(r.json(w.t)["id"].(float64))
	r = w.owner("POST", fmt.Sprintf("%sreleases/%d/assets?name=a.json", uploads, release), "{\"a\":1}\n", "Content-Type",
		"application/json")
	require.Equal(w.t, http.StatusCreated, r.status, "%s", r.body)
	return release, int64(r.json(w.t)["id"].(float64))
}

func TestDraftsAreHiddenFromStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), prompt)
	rel, asset := w.draft("v1")
	hidden := []string{fmt.Sprintf("%sreleases/%d", api, rel), fmt.Sprintf("%sreleases/assets/%d", api, asset),
		fmt.Sprintf("%sreleases/%d/assets", api, rel)}
	for _, url := range hidden {
		require.Equal(t, http.StatusNotFound, w.do("GET", url, "").status, url)
		require.Equal(t, http.StatusOK, w.owner("GET", url, "").status, url)
	}
	require.JSONEq(t, "[]", string(w.do("GET", api+"releases", "").body))
	require.Equal(t, http.StatusNotFound, w.owner("GET", api+"releases/tags/v1", "").status,
		"the look-up by tag hides drafts from owners too")
	require.Equal(t, http.StatusNotFound, w.owner("GET", web+"releases/download/v1/a.json", "").status)

	require.Equal(t, http.StatusOK, w.owner("PATCH", hidden[0], `{"draft":false}`).status)
	for _, url := range append(hidden, api+"releases/tags/v1") {
		require.Equal(t, http.StatusOK, w.do("GET", url, "").status, url)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	require.Equal(t, http.StatusUnauthorized, w.do("GET", api+"tags", "", "Authorization", "token wrong").status)
	require.Equal(t, http.StatusUnauthorized, w.do("POST", api+"releases", `{"tag_name":"v1"}`).status)
	require.Equal(t, http.StatusUnauthorized, w.do("POST", uploads+"releases/1/assets?name=a", "x").status)
	require.Equal(t, http.StatusNotFound, w.owner("GET", "https://api.github.com/repos/someone/else/tags", "").status)
	require.Equal(t, http.StatusNotFound, w.owner("GET", "https://uploads.github.com/repos/"+repository+"/tags",
		"").status, "each host serves its own paths")
}

func TestTheObjectStoreTakesNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), prompt)
	rel, asset := w.draft("v1")
	r := w.owner("GET", fmt.Sprintf("%sreleases/assets/%d", api, asset), "", "Accept", "application/octet-stream")
	require.Equal(t, http.StatusFound, r.status)
	location := r.header.Get("Location")
	require.True(t, strings.HasPrefix(location, "https://release-assets.githubusercontent.com/"), location)
	require.Equal(t, http.StatusBadRequest, w.owner("GET", location, "").status)
	require.Equal(t, http.StatusForbidden, w.do("GET", strings.Split(location, "?")[0], "").status)
	require.Equal(t, "{\"a\":1}\n", string(w.do("GET", location, "").body))
	require.Equal(t, "\"a\"", string(w.do("GET", location, "", "Range", "bytes=1-3").body))

	require.Equal(t, http.StatusOK, w.owner("PATCH", fmt.Sprintf("%sreleases/%d", api, rel), `{"draft":false}`).status)
	require.Equal(t, http.StatusFound, w.do("GET", web+"releases/download/v1/a.json", "").status)
	require.Equal(t, http.StatusNotFound, w.do("GET", web+"releases/download/v1/b.json", "").status)
}

func TestAssetsAreServedAsTheirFilesAreNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	rel, asset := w.draft("v1")
	path := filepath.Join(w.dir, "releases", "v1", "a.json")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "{\"a\":1}\n", string(data))
	url := fmt.Sprintf("%sreleases/assets/%d", api, asset)
	before := w.owner("GET", url, "").json(t)

	require.NoError(t, os.WriteFile(path, []byte("{\"a\":2}\n"), 0o644)) // same size, within one tick of the clock
	after := w.owner("GET", url, "").json(t)
	require.Equal(t, before["size"], after["size"])
	require.NotEqual(t, before["digest"], after["digest"])

	require.NoError(t, os.Remove(path))
	require.Equal(t, http.StatusNotFound, w.owner("GET", url, "").status)
	require.Empty(t, w.owner("GET", fmt.Sprintf("%sreleases/%d", api, rel), "").json(t)["assets"])

	require.NoError(t, os.Symlink("/etc/hostname", path))
	require.Equal(t, http.StatusNotFound, w.owner("GET", url, "").status, "only regular files are served")
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rel, asset := newWorld(t, dir).draft("v1")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "incoming", "99"), []byte("half"), 0o644))
	w := newWorld(t, dir)
	got := w.owner("GET", fmt.Sprintf("%sreleases/%d", api, rel), "").json(t)
	require.Len(t, got["assets"], 1)
	left, err := os.ReadDir(filepath.Join(dir, "incoming"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, http.StatusNoContent, w.owner("DELETE", fmt.Sprintf("%sreleases/assets/%d", api, asset), "").status)
	second, again := w.draft("v2")
	require.Greater(t, second, asset, "ids are never reused")
	require.Greater(t, again, second)
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	for _, tag := range []string{"../../x", "..", "a/b", "", "-rf\n", ".hidden", strings.Repeat("x", 300), "v1."} {
		body, err := json.Marshal(map[string]any{"tag_name": tag, "draft": true})
		require.NoError(t, err)
		require.Equal(t, http.StatusUnprocessableEntity, w.owner("POST", api+"releases", string(body)).status, "%q", tag)
	}
	rel, _ := w.draft("v1")
	for _, name := range []string{"..%2F..%2Fstate.json", "..", "a%2Fb", "", ".x", "a%00b", "a%0Ab", "%2Fetc%2Fpasswd"} {
		r := w.owner("POST", fmt.Sprintf("%sreleases/%d/assets?name=%s", uploads, rel, name), "x")
		require.Equal(t, http.StatusUnprocessableEntity, r.status, name)
	}
	for _, ref := range []string{"refs/heads/../../x", "refs/notes/x", "heads/x", "refs/tags/-x", "refs/heads/a b"} {
		body, err := json.Marshal(map[string]string{"ref": ref, "sha": sha})
		require.NoError(t, err)
		require.Equal(t, http.StatusUnprocessableEntity, w.owner("POST", api+"git/refs", string(body)).status, ref)
	}
	entries, err := os.ReadDir(filepath.Join(w.dir, "releases"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	rel, _ := w.draft("v1")
	at := fmt.Sprintf("%sreleases/%d", api, rel)
	assets := fmt.Sprintf("%sreleases/%d/assets?name=", uploads, rel)
	for name, c := range map[string]struct {
		reply  reply
		status int
		text   string
	}{
		"duplicate asset":      {w.owner("POST", assets+"a.json", "x"), 422, "already_exists"},
		"empty asset":          {w.owner("POST", assets+"b.json", ""), 422, "size must be greater"},
		"latest draft":         {w.owner("PATCH", at, `{"make_latest":"true"}`), 422, "cannot be draft or prerelease"},
		"latest not a string":  {w.owner("PATCH", at, `{"make_latest":true}`), 422, "make_latest"},
		"latest of other kind": {w.owner("PATCH", at, `{"make_latest":"yes"}`), 422, "make_latest"},
		"another tag":          {w.owner("PATCH", at, `{"tag_name":"v2"}`), 422, "tag_name"},
		"notes too long": {w.owner("PATCH", at, `{"body":"`+strings.Repeat("x", 125_001)+`"}`), 422,
			"body is too long"},
		"no JSON": {w.owner("PATCH", at, `{`), 400, "Problems parsing JSON"},
		"unknown commit": {w.owner("POST", api+"releases", `{"tag_name":"v9","target_commitish":"nowhere"}`), 422,
			"target_commitish"},
		"ref exists": {w.owner("POST", api+"git/refs", `{"ref":"refs/tags/v1","sha":"`+sha+`"}`), 422,
			"Reference already exists"},
		"ref of nothing": {w.owner("POST", api+"git/refs", `{"ref":"refs/tags/v8","sha":"0000"}`), 422,
			"Object does not exist"},
		"file without sha": {w.owner("PUT", api+"contents/catalog/c.json", `{"message":"m","content":"","branch":"main"}`),
			422, "wasn't supplied"},
		"file with other sha": {w.owner("PUT", api+"contents/catalog/c.json",
			`{"message":"m","content":"","branch":"main","sha":"00"}`), 409, "does not match"},
		"pull of nothing":     {w.owner("POST", api+"pulls", `{"head":"none","base":"main"}`), 422, "head"},
		"pull without change": {w.owner("POST", api+"pulls", `{"head":"main","base":"main"}`), 422, "No commits between"},
	} {
		require.Equal(t, c.status, c.reply.status, "%s: %s", name, c.reply.body)
		require.Contains(t, string(c.reply.body), c.text, name)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", assets+"chunked",
		io.MultiReader(bytes.NewReader([]byte("x"))))
	require.NoError(t, err)
	req.Header.Set("Authorization", "token "+token)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	resp, err := w.http.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, "GitHub wants a Content-Length")
	require.Error(t, w.server.Push("refs/tags/v1", strings.Repeat("b", 40), nil), "a tag does not move")
	require.Error(t, w.server.Push("refs/tags/../x", sha, nil))
}

// What does not fit GitHub's description has no effect.
func TestRequestsThatAreNotAsGitHubDescribesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	for name, tc := range map[string]struct {
		reply  reply
		status int
		text   string
	}{
		"no version":        {w.owner("GET", api+"tags", "", "X-GitHub-Api-Version", ""), 400, "X-GitHub-Api-Version"},
		"another version":   {w.owner("GET", api+"tags", "", "X-GitHub-Api-Version", "2026-03-10"), 400, "2022-11-28"},
		"nobody":            {w.owner("GET", api+"tags", "", "User-Agent", ""), 403, "User-Agent header"},
		"an unknown query":  {w.owner("GET", api+"tags?per-page=1", ""), 422, "query per-page is not known"},
		"an unknown field":  {w.owner("POST", api+"releases", `{"tag_name":"v1","tag":"v1"}`), 422, "tag is not known"},
		"deep in the body":  {w.owner("POST", api+"git/trees", `{"tree":[{"path":1}]}`), 422, "tree[0].path: 1"},
		"a body too large":  {w.owner("POST", api+"releases", strings.Repeat(" ", 5<<20)), 413, "too large"},
		"without its field": {w.owner("POST", api+"releases", `{"draft":true}`), 422, "tag_name is missing"},
	} {
		require.Equal(t, tc.status, tc.reply.status, "%s: %s", name, tc.reply.body)
		require.Contains(t, string(tc.reply.body), tc.text, name)
	}
	require.JSONEq(t, "[]", string(w.owner("GET", api+"releases", "").body))
}

func TestPublicationMakesTheTagAndLatestMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), prompt)
	require.Equal(t, http.StatusNotFound, w.do("GET", api+"releases/latest", "").status)
	first, _ := w.draft("v2")
	require.Equal(t, http.StatusNotFound, w.do("GET", api+"git/ref/tags/v2", "").status, "a draft has no tag yet")
	require.Equal(t, 200, w.owner("PATCH", fmt.Sprintf("%sreleases/%d", api, first),
		`{"draft":false,"prerelease":false}`).status)
	require.Contains(t, string(w.do("GET", api+"git/ref/tags/v2", "").body), sha)
	second, _ := w.draft("v3")
	require.Equal(t, 200, w.owner("PATCH", fmt.Sprintf("%sreleases/%d", api, second),
		`{"draft":false,"make_latest":"false"}`).status)
	latest := func() any { return w.do("GET", api+"releases/latest", "").json(t)["tag_name"] }
	require.Equal(t, "v2", latest(), "a pre-release is never the latest")
	require.Equal(t, 200, w.owner("PATCH", fmt.Sprintf("%sreleases/%d", api, second),
		`{"prerelease":false,"make_latest":"true"}`).status)
	require.Equal(t, "v3", latest())
	twin, _ := w.draft("v3")
	require.Equal(t, 422, w.owner("PATCH", fmt.Sprintf("%sreleases/%d", api, twin), `{"draft":false}`).status,
		"one public release per tag")
}
