package github_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// perPage is the length of page that a request of a list asks for.
func perPage(r *http.Request) int {
	n, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	return n
}

// A long page may break off, or never come, instead of ending in 502: a short one comes whole.
func TestALongPageThatBreaksOffIsReadShorter(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]http.HandlerFunc{
		"no answer":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half an answer":  answered(`[{"name":"v1","commit":`),
		"408":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestTimeout) },
		"a page in HTML":  answered("<html><body>Unicorn!</body></html>"),
		"an empty answer": answered(""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []int
			w := newWorld(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if asked = append(asked, perPage(r)); perPage(r) > 10 {
						broken(w, r)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			require.NoError(t, w.server.Push("refs/tags/v1", commit, nil))
			tags, err := w.client(token).Tags(t.Context())
			require.NoError(t, err)
			require.Len(t, tags, 1)
			require.Equal(t, []int{100, 30, 10}, asked)
		})
	}
}

// answered gives these bytes for an answer of the API.
func answered(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}
}

// A list in short pages has as many entries as one in long pages.
func TestAListInShortPagesIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	const pages = 120 // more than 100, which is enough of long ones
	w := newWorld(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if perPage(r) > 10 {
				w.WriteHeader(http.StatusGatewayTimeout)
				return
			}
			n, _ := strconv.Atoi(r.URL.Query().Get("page"))
			if n = max(n, 1); n < pages {
				w.Header().Set("Link", fmt.Sprintf(`<https://api.github.com%s?per_page=10&page=%d>; rel="next"`, r.URL.Path, n+1))
			}
			answered(fmt.Sprintf(`[{"name":"v%d","commit":{"sha":"%s"}}]`, n, commit))(w, r)
		})
	})
	tags, err := w.client(token).Tags(t.Context())
	require.NoError(t, err)
	require.Len(t, tags, pages)
}

// A release that is made while the list is read moves the others to the next
// page, where the last one of the page before comes once more.
func TestAReleaseThatIsListedTwiceIsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Query().Get("page") == "" {
				w.Header().Set("Link", `<https://api.github.com`+r.URL.Path+`?per_page=30&page=1>; rel="next"`)
			}
			next.ServeHTTP(w, r)
		})
	})
	c := w.client(token)
	w.listsOnly(c, w.draft(c, "v1"))
}
