package github_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

// unseen carries the first matching write out, loses its answer, and hides what it made from so many reads that match.
func unseen(write, read rehearsal.Match, reads int64, hidden string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var lost atomic.Bool
		var hid atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case write(r) && lost.CompareAndSwap(false, true):
				next.ServeHTTP(httptest.NewRecorder(), r)
				w.WriteHeader(http.StatusBadGateway)
			case read(r) && lost.Load() && hid.Add(1) <= reads:
				if hidden == "" {
					http.Error(w, "Not Found", http.StatusNotFound)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(hidden))
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
}

func asked(method, end string) rehearsal.Match {
	return func(r *http.Request) bool { return r.Method == method && strings.HasSuffix(r.URL.Path, end) }
}

// What a request made whose answer was lost may be seen late: it is not made again before, and is then adopted.
func TestWhatALostAnswerMadeIsSeenLate(t *testing.T) {
	t.Parallel()
	t.Run("a draft", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, unseen(asked("POST", "/releases"), asked("GET", "/releases"), 3, "[]"))
		c := w.client(token)
		w.listsOnly(c, w.draft(c, "v1"))
	})
	t.Run("an asset", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, unseen(uploads, asked("GET", "/assets"), 3, "[]"))
		c := w.client(token)
		rel := w.draft(c, "v1")
		a, err := c.Upload(t.Context(), rel, file("a.json", "{}\n"))
		require.NoError(t, err)
		require.Equal(t, github.StateUploaded, a.State)
	})
	change := github.Change{Base: "main", Branch: "topic", Path: "a.json", Content: []byte("{}\n"), Message: "m",
		Title: "t"}
	several := change
	several.Path, several.Content, several.Files = "", nil, map[string][]byte{"a.json": []byte("{}\n")}
	for name, tc := range map[string]struct {
		change github.Change
		fault  func(http.Handler) http.Handler
	}{
		"a branch":            {change, unseen(asked("POST", "/git/refs"), asked("GET", "/git/ref/heads/topic"), 3, "")},
		"a branch of several": {several, unseen(asked("POST", "/git/refs"), asked("GET", "/git/ref/heads/topic"), 5, "")},
		"a pull request":      {change, unseen(asked("POST", "/pulls"), asked("GET", "/pulls"), 3, "[]")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.fault)
			c := w.client(token)
			pr, err := c.Propose(t.Context(), tc.change)
			require.NoError(t, err)
			require.NotZero(t, pr.Number)
			all, err := c.Proposals(t.Context(), "main", "topic")
			require.NoError(t, err)
			require.Len(t, all, 1)
		})
	}
}

// Most often a lost answer made nothing: it is looked for, and then made, within seconds. A limit made nothing for
// sure.
func TestWhatALostAnswerDidNotMake(t *testing.T) {
	t.Parallel()
	total := func(w *world) (sum time.Duration) {
		for _, d := range w.waits {
			sum += d
		}
		return sum
	}
	w := newWorld(t, func(h http.Handler) http.Handler { return rehearsal.Unavailable(h, posts, 1, 502, false) })
	w.draft(w.client(token), "v1")
	require.Greater(t, total(w), time.Second)
	require.Less(t, total(w), 30*time.Second)
	w = newWorld(t, func(h http.Handler) http.Handler { return rehearsal.RateLimited(h, posts, 1, 77) })
	w.draft(w.client(token), "v1")
	require.Equal(t, []time.Duration{77 * time.Second}, w.waits)
	w = newWorld(t, func(h http.Handler) http.Handler {
		return inWords(h, asked("POST", "/git/refs"), 9, http.StatusUnprocessableEntity, "Object does not exist")
	})
	_, err := w.client(token).Share(t.Context(), github.Change{Base: "main", Branch: "topic", Path: "a.json",
		Content: []byte("{}\n"), Message: "m"})
	require.ErrorContains(t, err, "Object does not exist")
	require.Empty(t, w.waits, "nobody says that it is there")
}

// A file is shared at the commit that put it there, whatever the branch is still said to be at.
func TestShareNamesTheCommitThatItMade(t *testing.T) {
	t.Parallel()
	puts := false
	w := newWorld(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			puts = puts || r.Method == http.MethodPut
			if puts && asked("GET", "/git/ref/heads/topic")(r) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"object":{"type":"commit","sha":"` + commit + `"}}`))
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	c := w.client(token)
	url, err := c.Share(t.Context(), github.Change{Base: "main", Branch: "topic", Path: "a.json", Content: []byte("{}\n"),
		Message: "m"})
	require.NoError(t, err)
	require.NotContains(t, url, commit, "the branch as it was before the file came")
}

// A list goes on wherever RFC 8288 lets its Link say so.
func TestLinksToTheNextPage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		links []string
		next  bool
	}{
		"GitHub's":           {[]string{`<NEXT>; rel="next", <https://api.github.com/x>; rel="last"`}, true},
		"not the first":      {[]string{`<https://api.github.com/x>; rel="prev", <NEXT>; rel="next"`}, true},
		"without quotes":     {[]string{`<NEXT>; rel=next`}, true},
		"in capitals":        {[]string{`<NEXT>; Rel="Next"`}, true},
		"of several":         {[]string{`<NEXT>; rel="last next"`}, true},
		"behind another":     {[]string{`<NEXT>; title="a, b; rel=x"; rel="next"`}, true},
		"in a second header": {[]string{`<https://api.github.com/x>; rel="last"`, `<NEXT>; rel="next"`}, true},
		"no next":            {[]string{`<https://api.github.com/x>; rel="last"`}, false},
		"a name like it":     {[]string{`<https://api.github.com/x>; rel="nextish"`}, false},
		"in a title":         {[]string{`<https://api.github.com/x>; title="rel=next"; rel="last"`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Get("page") == "" {
						for _, link := range tc.links {
							w.Header().Add("Link", strings.ReplaceAll(link, "NEXT",
								"https://api.github.com"+r.URL.Path+"?per_page=100&page=2"))
						}
						w.Header().Set("Content-Type", "application/json")
						_, _ = w.Write([]byte(`[{"name":"v0","commit":{"sha":"` + commit + `"}}]`))
						return
					}
					r.URL.RawQuery = ""
					next.ServeHTTP(w, r)
				})
			})
			require.NoError(t, w.server.Push("refs/tags/v1", commit, nil))
			tags, err := w.client(token).Tags(t.Context())
			require.NoError(t, err)
			require.Equal(t, tc.next, len(tags) == 2, "%v", tags)
		})
	}
}

// What was just made may not be there yet for who names it by its id, and for uploads.
func TestADraftThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	left := map[string]int{"GET": 2, "POST": 2}
	w := newWorld(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if below := strings.Contains(r.URL.Path, "/releases/"); below && left[r.Method] > 0 {
				left[r.Method]--
				hidden(nil).ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	c := w.client(token)
	made := w.draft(c, "v1")
	_, err := c.Upload(t.Context(), made, file("a.json", "{}\n"))
	require.NoError(t, err)
	there, err := c.Release(t.Context(), made.ID)
	require.NoError(t, err)
	require.Len(t, there.Assets, 1)
	require.Less(t, sum(w.waits), 2*time.Second)
}

// An upload that broke off before keeps its name, though the list may not show it yet.
func TestAnUploadThatBrokeOffIsSeenLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(next http.Handler) http.Handler {
		return unseen(uploads, asked("GET", "/assets"), 1, "[]")(cut(next))
	})
	c := w.client(token)
	rel := w.draft(c, "v1")
	a, err := c.Upload(t.Context(), rel, file("a.json", "{\"content\":\"long enough\"}\n"))
	require.NoError(t, err)
	require.Equal(t, github.StateUploaded, a.State)
	got, err := c.Release(t.Context(), rel.ID)
	require.NoError(t, err)
	require.Equal(t, []github.Asset{a}, got.Assets, "nothing is left over")
}

// cut breaks the first upload off, and the connection with it.
func cut(next http.Handler) http.Handler {
	cut := rehearsal.CutUploads(next, 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover() }()
		cut.ServeHTTP(w, r)
	})
}

func sum(waits []time.Duration) (total time.Duration) {
	for _, d := range waits {
		total += d
	}
	return total
}
