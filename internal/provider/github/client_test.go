package github_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, repository := range []string{"", "mero-tee", "a/b/c", "../x", "a/..", "a/.", "a b/c", "a/b?x=", "-a/b",
		"a/b\n"} {
		_, err := github.New(github.Options{Repository: repository})
		require.Equal(t, fault.Usage, fault.CodeOf(err), "%q", repository)
	}
}

// go-gh would take a token, an API host and a debug switch from here.
func TestNothingComesFromTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hosts.yml"),
		[]byte("github.com:\n    oauth_token: gho_other\n    api_host: evil.example\n"), 0o600))
	for name, value := range map[string]string{"GH_CONFIG_DIR": dir, "GH_TOKEN": "ghs_other", "GITHUB_TOKEN": "ghs_other",
		"GH_HOST": "evil.example", "GH_DEBUG": "api"} {
		t.Setenv(name, value)
	}
	w := newWorld(t, nil)
	_, err := w.client("").Releases(t.Context())
	require.NoError(t, err)
	require.Len(t, w.requests, 1)
	require.Equal(t, "api.github.com", w.requests[0].URL.Host)
	require.NotContains(t, w.requests[0].Header, "Authorization")
}

func TestTheTokenReachesOnlyGitHub(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, a := w.public("v1", "a.json", "{}")
	require.NoError(t, w.client(token).Download(t.Context(), a, &bytes.Buffer{}))
	sent := map[string]bool{}
	for _, r := range w.requests {
		sent[r.URL.Host] = sent[r.URL.Host] || r.Header.Get("Authorization") != ""
		require.NotContains(t, r.URL.String(), token)
		require.Equal(t, "https", r.URL.Scheme)
	}
	require.Equal(t, map[string]bool{"api.github.com": true, "uploads.github.com": true,
		"release-assets.githubusercontent.com": false}, sent)
}

func TestAStrangerReadsWhatIsPublic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, a := w.public("v1", "a.json", "{\"a\":1}\n")
	w.draft(w.client(token), "v2")
	w.requests = nil
	stranger := w.client("")
	all, err := stranger.Releases(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1, "no draft")
	_, err = stranger.ReleaseByTag(t.Context(), "v2")
	require.ErrorIs(t, err, github.ErrNotFound)
	rel, err := stranger.ReleaseByTag(t.Context(), "v1")
	require.NoError(t, err)
	require.Equal(t, []github.Asset{rel.Assets[0]}, rel.Assets)
	require.Equal(t, a.Digest, rel.Assets[0].Digest)

	calls := len(w.requests)
	var got bytes.Buffer
	require.NoError(t, stranger.Download(t.Context(), rel.Assets[0], &got))
	require.Equal(t, "{\"a\":1}\n", got.String())
	for _, r := range w.requests[calls:] {
		require.NotEqual(t, "api.github.com", r.URL.Host, "a download costs a stranger no API quota")
	}
	for _, r := range w.requests {
		require.NotContains(t, r.Header, "Authorization")
	}
	_, err = stranger.CreateDraft(t.Context(), github.Draft{Tag: "v3"})
	var told *fault.Error
	require.True(t, errors.As(err, &told))
	require.Contains(t, told.Hint, "token")
}

func TestDraftsAreListedButNotFoundByTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	made := w.draft(c, "v1")
	require.True(t, made.Draft && made.Prerelease)
	require.Equal(t, "main", made.TargetCommitish, "the tag says the commit")
	all, err := c.Releases(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	_, err = c.ReleaseByTag(t.Context(), "v1")
	require.ErrorIs(t, err, github.ErrNotFound)
	_, err = c.Latest(t.Context())
	require.ErrorIs(t, err, github.ErrNotFound)
	_, err = c.Update(t.Context(), made.ID, github.Patch{})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func TestAllPagesAreRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h http.Handler) http.Handler { // pages of 2, where 100 were asked for
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "per_page=100", "per_page=2", 1)
			h.ServeHTTP(w, r)
		})
	})
	c := w.client(token)
	for i := range 7 {
		require.NoError(t, w.server.Push(fmt.Sprintf("refs/tags/v%d", i), commit, nil))
	}
	rel := w.draft(c, "v0")
	for i := range 5 {
		_, err := c.Upload(t.Context(), rel, file(fmt.Sprintf("a%d", i), "x"))
		require.NoError(t, err)
	}
	tags, err := c.Tags(t.Context())
	require.NoError(t, err)
	require.Len(t, tags, 7)
	require.Equal(t, commit, tags[0].Commit)
	got, err := c.Release(t.Context(), rel.ID)
	require.NoError(t, err)
	require.Len(t, got.Assets, 5)
	w.draft(c, "v1")
	w.draft(c, "v2")
	all, err := c.Releases(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 3)
}

// linking says that the next page is elsewhere.
func linking(to string) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<"+to+`>; rel="next"`)
			_, _ = w.Write([]byte("[]"))
		})
	}
}

func TestPagesThatLeadElsewhereOrNeverEnd(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"https://evil.example/", "http://api.github.com/",
		"https://api.github.com.evil.example/"} {
		_, err := newWorld(t, linking(to)).client(token).Tags(t.Context())
		require.ErrorContains(t, err, "the next page of a list is not on")
	}
	_, err := newWorld(t, linking("https://api.github.com/again")).client(token).Tags(t.Context())
	require.ErrorContains(t, err, "more than 10000 entries")
}

func TestARenamedRepositoryIsNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.Handler) http.Handler {
		return http.RedirectHandler("https://api.github.com/repositories/1/releases", http.StatusMovedPermanently)
	})
	_, err := w.client(token).CreateDraft(t.Context(), github.Draft{Tag: "v1"})
	require.ErrorContains(t, err, "301")
	require.Len(t, w.requests, 1)
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			chunk := bytes.Repeat([]byte(" "), 1<<20)
			for range 40 {
				_, _ = w.Write(chunk)
			}
		})
	})
	_, err := w.client(token).Latest(t.Context())
	require.ErrorContains(t, err, "too large")
}

func TestTagCommitPeelsAnnotatedTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	require.NoError(t, w.server.Push("refs/tags/light", commit, nil))
	post := func(path, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"https://api.github.com/repos/"+repository+"/git/"+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "token "+token)
		req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
		resp, err := w.transport.RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var b bytes.Buffer
		_, err = b.ReadFrom(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, resp.StatusCode, b.String())
		_, rest, _ := strings.Cut(b.String(), `"sha":"`)
		for rest != "" && strings.HasPrefix(rest, commit) { // the object's own id comes after the one it points at
			_, rest, _ = strings.Cut(rest, `"sha":"`)
		}
		return rest[:min(40, len(rest))]
	}
	annotated := post("tags", `{"tag":"v1","message":"m","type":"commit","object":"`+commit+`"}`)
	post("refs", `{"ref":"refs/tags/v1","sha":"`+annotated+`"}`)
	for _, tag := range []string{"light", "v1"} {
		got, err := c.TagCommit(t.Context(), tag)
		require.NoError(t, err)
		require.Equal(t, commit, got, tag)
	}
	_, err := c.TagCommit(t.Context(), "none")
	require.ErrorIs(t, err, github.ErrNotFound)
}

func TestHostileTagsStayInTheirPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	for _, tag := range []string{"..", "."} {
		_, err := c.ReleaseByTag(t.Context(), tag)
		require.Equal(t, fault.Usage, fault.CodeOf(err), tag)
	}
	require.Empty(t, w.requests)
	for _, tag := range []string{"../../x", "a?b=c", "a#b", "%2e%2e"} {
		_, err := c.ReleaseByTag(t.Context(), tag)
		require.ErrorIs(t, err, github.ErrNotFound, tag)
	}
	for _, r := range w.requests {
		require.True(t, strings.HasPrefix(r.URL.EscapedPath(), "/repos/"+repository+"/releases/tags/"), r.URL.String())
		require.Equal(t, 6, strings.Count(r.URL.EscapedPath(), "/"), r.URL.String())
		require.Empty(t, r.URL.RawQuery)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header string
		push   bool
		want   []string
	}{
		"classic":      {"repo, write:packages", true, []string{"repo", "write:packages"}},
		"no scope":     {"", true, nil},
		"a reader's":   {"public_repo", false, []string{"public_repo"}},
		"fine-grained": {"", false, nil},
	} {
		w := newWorld(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("X-OAuth-Scopes", tc.header)
				fmt.Fprintf(rw, `{"permissions":{"push":%t}}`, tc.push)
			})
		})
		got, err := w.client(token).Access(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, github.Access{Push: tc.push, Scopes: tc.want}, got, name)
	}
}

func TestAccessOfATokenThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h http.Handler) http.Handler { return h })
	_, err := w.client("another").Access(t.Context())
	require.ErrorContains(t, err, "Bad credentials")
	got, err := w.client(token).Access(t.Context())
	require.NoError(t, err)
	require.True(t, got.Push)
	require.Contains(t, got.Scopes, "repo")
}
