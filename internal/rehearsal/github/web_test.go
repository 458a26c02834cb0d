package github_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/browser"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

// hostile is what others may write into notes, messages and titles.
const hostile = `x\"><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>` +
	`[a](javascript:alert(3))\u202e`

// pages is a server's pages as a browser of this machine asks for them, and their address.
func (w *world) pages() string {
	w.t.Helper()
	var h http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { h.ServeHTTP(rw, r) }))
	w.t.Cleanup(server.Close)
	h = w.server.Browser(strings.TrimPrefix(server.URL, "http://"))
	return server.URL
}

// look asks for a page without a version, a token or a redirect, as a browser does.
func look(t *testing.T, method, address, host string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	require.NoError(t, err)
	req.Host = host
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return reply{resp.StatusCode, resp.Header, body}
}

// A release that was made is looked at: its notes, its assets, its commit and what was said of that.
func TestPagesOfARelease(t *testing.T) {
	t.Parallel()
	w := withHistory(t)
	require.NoError(t, w.server.Conclude(sha, "success"))
	require.NoError(t, w.server.SayStatus(sha, "audit", "failure", "ann"))
	at := w.pages() + "/" + repository
	list := string(look(t, "GET", at+"/releases", "").body)
	require.Contains(t, list, `href="/`+repository+`/releases/tag/v1"`)
	require.Contains(t, list, "Pre-release")
	require.Contains(t, list, "Latest")
	require.Equal(t, 2, strings.Count(list, ", 1 asset<"))
	require.NotContains(t, list, "v3", "a draft is nobody's to see")

	one := string(look(t, "GET", at+"/releases/tag/v2", "").body)
	for _, want := range []string{"a.json", "8 bytes", "sha256:", `/releases/download/v2/a.json"`, sha[:10], "✓ success",
		"✗ failure", "audit"} {
		require.Contains(t, one, want)
	}
	require.Equal(t, http.StatusNotFound, look(t, "GET", at+"/releases/tag/v3", "").status)
	latest := look(t, "GET", at+"/releases/latest", "")
	require.Equal(t, http.StatusFound, latest.status)
	require.Equal(t, "/"+repository+"/releases/tag/v2", latest.header.Get("Location"))
	require.Contains(t, string(look(t, "GET", at+"/tags", "").body), "v3", "a tag is there before its release")
}

// Files are the public releases' own, kept by the browser and never shown as a page.
func TestPagesGiveFilesAway(t *testing.T) {
	t.Parallel()
	w := withHistory(t)
	at := w.pages() + "/" + repository + "/releases/download/"
	got := look(t, "GET", at+"v2/a.json", "")
	require.Equal(t, "{\"a\":1}\n", string(got.body))
	require.Equal(t, `attachment; filename="a.json"`, got.header.Get("Content-Disposition"))
	require.Equal(t, "application/octet-stream", got.header.Get("Content-Type"))
	require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	for _, path := range []string{"v3/a.json", "v2/b.json", "v9/a.json", "v2/..%2f..%2fstate.json"} {
		require.Equal(t, http.StatusNotFound, look(t, "GET", at+path, "").status, path)
	}
	signed := w.do("GET", web+"releases/download/v2/a.json", "").header.Get("Location")
	require.Equal(t, http.StatusOK, w.do("GET", signed, "").status)
	path := filepath.Join(w.dir, "releases", "v2", "a.json")
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink("/etc/hostname", path))
	require.Equal(t, http.StatusNotFound, look(t, "GET", at+"v2/a.json", "").status, "only regular files are served")
	require.Equal(t, http.StatusNotFound, w.do("GET", signed, "").status, "by the object store, too")
}

// What the pipeline proposes is read before it is merged, and afterwards.
func TestPagesOfAPullRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), prompt)
	one := w.branched(t, "catalog/v1", "a.json", "new")
	at := w.pages() + "/" + repository
	page := string(look(t, "GET", fmt.Sprintf("%s/pull/%d", at, one), "").body)
	for _, want := range []string{"catalog/v1", "into", "main", "a.json", "new", "open", "– queued"} {
		require.Contains(t, page, want)
	}
	list := string(look(t, "GET", at+"/pulls", "").body)
	require.Contains(t, list, fmt.Sprintf(`/pull/%d"`, one))
	_, err := w.server.MergePull(one)
	require.NoError(t, err)
	page = string(look(t, "GET", fmt.Sprintf("%s/pull/%d", at, one), "").body)
	require.Contains(t, page, "merged")
	require.Contains(t, page, "a.json")
	require.Equal(t, http.StatusNotFound, look(t, "GET", at+"/pull/99", "").status)

	two := w.branched(t, "gone", "b.json", "2")
	require.Equal(t, http.StatusNoContent, w.owner("DELETE", api+"git/refs/heads/gone", "").status)
	page = string(look(t, "GET", fmt.Sprintf("%s/pull/%d", at, two), "").body)
	require.Contains(t, page, "No file that is known here")
	require.NotContains(t, page, "queued", "nothing waits for a branch that was deleted")

	head := w.do("GET", api+"git/ref/heads/catalog/v1", "").json(t)["object"].(map[string]any)["sha"].(string)
	for _, ref := range []string{head, "catalog/v1"} {
		commit := string(look(t, "GET", at+"/commit/"+ref, "").body)
		require.Contains(t, commit, "a.json")
		require.Contains(t, commit, "/blob/"+head+"/a.json")
	}
	require.Contains(t, string(look(t, "GET", at+"/blob/"+head+"/a.json", "").body), "new")
	for _, path := range []string{"/commit/ff", "/blob/" + head + "/b.json", "/blob/ff/a.json"} {
		require.Equal(t, http.StatusNotFound, look(t, "GET", at+path, "").status, path)
	}
}

func TestPagesOfARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	w.server.Change(func(s *rehearsal.Settings) { *s = rehearsal.Documented("ann", "ben") })
	run, err := w.server.StartRun(rehearsal.Run{Workflow: "w.yaml", Tag: "v1", Commit: sha, Actor: "ann"})
	require.NoError(t, err)
	require.NoError(t, w.server.Review(run,
		rehearsal.Review{Environment: "release-auditor", By: "ben", State: "approved"}))
	at := w.pages() + "/" + repository
	page := string(look(t, "GET", fmt.Sprintf("%s/actions/runs/%d", at, run), "").body)
	for _, want := range []string{"w.yaml", "ann", "ben", "approved", "release-auditor"} {
		require.Contains(t, page, want)
	}
	checks := w.do("GET", api+"commits/"+sha+"/check-runs", "").json(t)["check_runs"].([]any)
	printed := checks[0].(map[string]any)["html_url"].(string)
	led := look(t, "GET", strings.Replace(printed, "https://github.com/"+repository, at, 1), "")
	require.Equal(t, "/"+repository+"/commit/"+sha, led.header.Get("Location"))
	for _, path := range []string{"/actions/runs/99", "/runs/99"} {
		require.Equal(t, http.StatusNotFound, look(t, "GET", at+path, "").status, path)
	}
}

// Another site whose name leads to this machine reads nothing, nothing is changed, and what is no page is none.
func TestPagesAreForThisMachinesBrowserAlone(t *testing.T) {
	t.Parallel()
	w := withHistory(t)
	base := w.pages()
	at := base + "/" + repository
	for _, host := range []string{"rebound.example", "github.com", "api.github.com", "127.0.0.1"} {
		got := look(t, "GET", at+"/releases", host)
		require.Equal(t, http.StatusMisdirectedRequest, got.status, host)
		require.NotContains(t, string(got.body), "v1")
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		require.Equal(t, http.StatusMethodNotAllowed, look(t, method, at+"/releases", "").status, method)
	}
	for _, home := range []string{base + "/", at, at + "/"} {
		require.Equal(t, "/"+repository+"/releases", look(t, "GET", home, "").header.Get("Location"), home)
	}
	for _, path := range []string{"/x", "/someone/else/releases", "/" + repository + "/settings",
		"/repos/" + repository + "/releases"} {
		got := look(t, "GET", base+path, "")
		require.Equal(t, http.StatusNotFound, got.status, path)
		require.Contains(t, string(got.body), "There is no such page", path)
	}
	for _, got := range []reply{look(t, "GET", at+"/releases", ""), look(t, "GET", base+"/x", ""),
		look(t, "POST", at+"/releases", ""), look(t, "GET", at+"/releases", "rebound.example")} {
		require.Contains(t, got.header.Get("Content-Security-Policy"), "default-src 'none'")
		require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	}
}

// Under github.com's name the pages have the same addresses, which is where what the pipeline prints leads;
// who asks the API gets JSON, whatever they accept, and what was no page is none.
func TestPagesUnderGitHubsOwnName(t *testing.T) {
	t.Parallel()
	w := withHistory(t)
	printed := w.do("GET", api+"releases/latest", "").json(t)["html_url"].(string)
	got := w.do("GET", printed, "", "X-GitHub-Api-Version", "")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.header.Get("Content-Type"), "text/html")
	require.Contains(t, string(got.body), "a.json")
	require.Equal(t, http.StatusOK, w.do("GET", w.do("GET", api+"pulls", "").list(t)[0]["html_url"].(string), "").status)
	latest := w.do("GET", web+"releases/latest", "")
	require.Equal(t, "/"+repository+"/releases/tag/v2", latest.header.Get("Location"))
	require.Equal(t, http.StatusUnauthorized, w.do("GET", printed, "", "Authorization", "token wrong").status)
	require.Equal(t, "v2", w.do("GET", api+"releases/latest", "", "Accept", "text/html").json(t)["tag_name"])
	for _, url := range []string{"https://api.github.com/" + repository + "/releases", web + "settings",
		"https://github.com/", "https://raw.githubusercontent.com/" + repository + "/main/releases"} {
		got := w.do("GET", url, "", "Accept", "text/html")
		require.Equal(t, http.StatusNotFound, got.status, url)
		require.NotContains(t, got.header.Get("Content-Type"), "text/html", url)
	}
	none := newWorld(t, t.TempDir())
	require.Equal(t, http.StatusNotFound, none.do("GET", web+"releases/latest", "").status)
	require.Contains(t, string(none.do("GET", web+"releases", "").body), "There are no public releases yet")
}

// Whoever looks uses nothing up: neither an hour's requests nor the reads that are late, nor the wait for a check.
func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), func(o *rehearsal.Options) { o.PerHour = 7 })
	require.NoError(t, w.server.Report(rehearsal.Check{Commit: sha, Name: "slow", App: rehearsal.Actions, Reads: 1}))
	id, _ := w.draft("v1")
	require.Equal(t, http.StatusOK, w.owner("PATCH", fmt.Sprintf("%sreleases/%d", api, id), `{"draft":false}`).status)
	before, err := os.ReadFile(filepath.Join(w.dir, "state.json"))
	require.NoError(t, err)
	at := w.pages() + "/" + repository
	for range 10 {
		for _, path := range []string{"/releases", "/releases/tag/v1", "/releases/download/v1/a.json", "/commit/" + sha,
			"/tags", "/pulls"} {
			require.Equal(t, http.StatusOK, look(t, "GET", at+path, "").status, path)
		}
	}
	after, err := os.ReadFile(filepath.Join(w.dir, "state.json"))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	require.Equal(t, http.StatusNotFound, w.do("GET", api+"releases/tags/v1", "").status, "late for the API all the same")
	require.Contains(t, w.checks(sha, ""), "slow github-actions <nil>")
}

// A browser shows each page without a word on its console, without asking for anything else, at every width, in both
// themes; hostile text is text in it; and the keyboard reaches all of it.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	w := withHistory(t)
	id, _ := w.draft("v4")
	require.NoError(t, w.server.Push("refs/tags/v4", sha, nil))
	notes := `"## Changes\n\n` + hostile + `\n\n` + strings.Repeat("0123456789", 20) +
		`\n\n| register | value |\n|---|---|\n| MRTD | ` + strings.Repeat("ab", 48) + ` |\n\n~~~\n` +
		strings.Repeat("x", 300) + `\n~~~"`
	r := w.owner("PATCH", fmt.Sprintf("%sreleases/%d", api, id), `{"draft":false,"name":"`+hostile+`","body":`+notes+`}`)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	pull := w.branched(t, "other", "a/"+strings.Repeat("long", 40)+".json", strings.Repeat("y", 400))
	require.NoError(t, w.server.SayStatus(sha, "audit", "failure", "ann"))
	base := w.pages()
	for _, path := range []string{"/releases", "/releases/tag/v4", "/tags", "/pulls", fmt.Sprintf("/pull/%d", pull),
		"/commit/other", "/blob/other/a/" + strings.Repeat("long", 40) + ".json", "/nothing"} {
		address := base + "/" + repository + path
		tab := b.Open(address, browser.View{Width: 390})
		for _, v := range browser.Views() {
			tab.Show(v)
			require.Empty(t, tab.Flaws(), "%s, %s", path, v)
		}
		require.Equal(t, []string{address}, tab.Asked(), path)
		if said := tab.Console(); path == "/nothing" {
			require.Len(t, said, 1, "that it is not there: %s", said)
		} else {
			require.Empty(t, said, path)
		}
	}
	tab := b.Open(base+"/"+repository+"/releases/tag/v4", browser.View{Width: 390})
	var text string
	tab.Eval(`document.body.innerText + document.querySelectorAll("main script, main img").length`, &text)
	require.Contains(t, text, "<script>alert(1)</script>")
	require.Contains(t, text, "a (javascript:alert(3))")
	require.Contains(t, text, `\u202e`)
	require.True(t, strings.HasSuffix(text, "0"))
	stops := tab.Stops(30)
	require.Equal(t, "a To the content", stops[0].Name)
	require.Greater(t, len(stops), 6)
	for _, s := range stops {
		require.True(t, s.Visible && s.Inside, "%+v", s)
	}
}
