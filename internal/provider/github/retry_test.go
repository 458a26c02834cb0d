package github_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

func any(*http.Request) bool { return true }

func posts(r *http.Request) bool { return r.Method == http.MethodPost }

func TestReadsAreRepeated(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 502, 503, 504} {
		w := newWorld(t, func(h http.Handler) http.Handler { return rehearsal.Unavailable(h, any, 3, status, false) })
		_, err := w.client(token).Releases(t.Context())
		require.NoError(t, err, status)
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, w.waits)
	}
	w := newWorld(t, func(h http.Handler) http.Handler { return rehearsal.Unavailable(h, any, 4, 503, false) })
	_, err := w.client(token).Releases(t.Context())
	require.ErrorContains(t, err, "503")
	require.Len(t, w.requests, 4)
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 404, 409, 422} {
		w := newWorld(t, func(h http.Handler) http.Handler { return rehearsal.Unavailable(h, any, 9, status, false) })
		_, err := w.client(token).Releases(t.Context())
		require.Error(t, err)
		require.Len(t, w.requests, 1, status)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h http.Handler) http.Handler { return rehearsal.RateLimited(h, posts, 1, 77) })
	w.draft(w.client(token), "v1")
	require.Equal(t, []time.Duration{77 * time.Second}, w.waits)

	w = newWorld(t, func(h http.Handler) http.Handler { return rehearsal.RateLimited(h, any, 1, 3600) })
	_, err := w.client(token).Releases(t.Context())
	require.ErrorContains(t, err, "1h0m0s")
	var told *fault.Error
	require.ErrorAs(t, err, &told)
	require.Contains(t, told.Hint, "rate limit")
	require.Empty(t, w.waits)

	w = newWorld(t, func(h http.Handler) http.Handler { return rehearsal.RateLimited(h, any, 1, 60) })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err = w.client(token).Releases(ctx)
	require.ErrorContains(t, err, "1m0s", "a pause beyond the deadline is not begun")
	require.Empty(t, w.waits)
}

func TestTheResetTimeOfAUsedUpQuotaIsHonoured(t *testing.T) {
	t.Parallel()
	first := true
	w := newWorld(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !first {
				h.ServeHTTP(w, r)
				return
			}
			first = false
			w.Header().Set("Date", "Mon, 23 Nov 2026 10:00:00 GMT")
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", "1795428042") // 42 s later
			w.WriteHeader(http.StatusForbidden)
		})
	})
	_, err := w.client("").Releases(t.Context())
	require.NoError(t, err)
	require.Equal(t, []time.Duration{42 * time.Second}, w.waits)
}

// A limit that names no time is waited out for at least a minute, and longer each
// time; then it is an error that says so.
func TestALimitWithoutATimeIsWaitedOut(t *testing.T) {
	t.Parallel()
	minutes := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}
	for name, limit := range map[string]func(h http.Handler, n int64) http.Handler{
		"403 and 429 that speak of it": func(h http.Handler, n int64) http.Handler {
			return rehearsal.RateLimited(h, any, n, 0)
		},
		"403 in its older words": func(h http.Handler, n int64) http.Handler {
			return inWords(h, any, int(n), http.StatusForbidden, "You have triggered an abuse detection mechanism. "+
				"Please wait a few minutes before you try again.")
		},
		"403 in capitals": func(h http.Handler, n int64) http.Handler {
			return inWords(h, any, int(n), http.StatusForbidden, "API Rate Limit exceeded for installation.")
		},
		"429 that says nothing": func(h http.Handler, n int64) http.Handler {
			return rehearsal.Unavailable(h, any, n, 429, false)
		},
	} {
		w := newWorld(t, func(h http.Handler) http.Handler { return limit(h, 3) })
		_, err := w.client(token).Releases(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, minutes, w.waits, name)
		w = newWorld(t, func(h http.Handler) http.Handler { return limit(h, 9) })
		_, err = w.client(token).Releases(t.Context())
		var told *fault.Error
		require.ErrorAs(t, err, &told, name)
		require.Contains(t, told.Hint, "rate limit", name)
		require.Equal(t, minutes, w.waits, name)
	}
}

// inWords refuses the first n requests that match, in these words.
func inWords(next http.Handler, match rehearsal.Match, n, status int, words string) http.Handler {
	var refused atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !match(r) || refused.Add(1) > int64(n) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"message":"`+words+`"}`)
	})
}

// What is left of an hour is waited for when that is short, and named when it is long.
func TestAnHoursRequestsAreUsedUp(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	w := newWorld(t, nil, func(o *rehearsal.Options) {
		o.PerHour, o.Now = 2, func() time.Time { return now }
	})
	c := w.client(token)
	for range 2 {
		_, err := c.Tags(t.Context())
		require.NoError(t, err)
	}
	_, err := c.Tags(t.Context())
	var told *fault.Error
	require.ErrorAs(t, err, &told)
	require.Equal(t, fault.General, told.Code)
	require.Equal(t, "requests left of the 2 that this token has in an hour", told.Expected)
	require.Equal(t, "none until 2026-11-23T11:00:00Z", told.Got)
	require.Contains(t, told.Hint, "run the same command again")
	require.Empty(t, w.waits)
	now = now.Add(59 * time.Minute)
	_, err = c.Tags(t.Context())
	require.ErrorContains(t, err, "rate limit", "the clock of this test stands still")
	require.Equal(t, []time.Duration{time.Minute, time.Minute, time.Minute}, w.waits)
}

// The edge refuses with a page of its own, for tens of seconds.
func TestThePageOfALimitIsWaitedOut(t *testing.T) {
	t.Parallel()
	refusals := 1
	w := newWorld(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refusals--; refusals < 0 {
				h.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, "<html><title>Too Many Requests</title></html>")
		})
	})
	_, err := w.client(token).Releases(t.Context())
	require.NoError(t, err)
	require.Equal(t, []time.Duration{time.Minute}, w.waits)
}

// A list whose second page fails is read again from its beginning, in shorter pages, and nothing comes twice.
func TestAListIsReadAgainFromItsBeginning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			if query.Get("per_page") == "100" {
				if query.Get("page") == "2" {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				w.Header().Set("Link", `<https://api.github.com`+r.URL.Path+`?per_page=100&page=2>; rel="next"`)
			}
			h.ServeHTTP(w, r)
		})
	})
	for i := range 3 {
		require.NoError(t, w.server.Push(fmt.Sprintf("refs/tags/v%d", i), commit, nil))
	}
	tags, err := w.client(token).Tags(t.Context())
	require.NoError(t, err)
	require.Len(t, tags, 3)
}

// When the answer to a POST is lost, the client must look before it posts again.
func TestALostAnswerMakesNoSecondDraft(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(http.Handler) http.Handler{
		"carried out, answer lost": func(h http.Handler) http.Handler {
			return rehearsal.Unavailable(h, posts, 1, 502, true)
		},
		"not carried out": func(h http.Handler) http.Handler { return rehearsal.Unavailable(h, posts, 1, 502, false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fault)
			c := w.client(token)
			w.listsOnly(c, w.draft(c, "v1"))
		})
	}
}

func uploads(r *http.Request) bool { return r.Host == "uploads.github.com" }

func TestAnUploadThatBrokeOffIsRepeated(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(http.Handler) http.Handler{
		"cut half way": func(h http.Handler) http.Handler { return rehearsal.CutUploads(h, 2) },
		"carried out, answer lost": func(h http.Handler) http.Handler {
			return rehearsal.Unavailable(h, uploads, 1, 502, true)
		},
		"not carried out": func(h http.Handler) http.Handler { return rehearsal.Unavailable(h, uploads, 1, 502, false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fault)
			c := w.client(token)
			rel := w.draft(c, "v1")
			opened := 0
			f := file("a.json", "{\"content\":\"long enough\"}\n")
			open := f.Open
			f.Open = func() (io.ReadCloser, error) { opened++; return open() }
			a, err := c.Upload(t.Context(), rel, f)
			require.NoError(t, err)
			require.Positive(t, opened)
			got, err := c.Release(t.Context(), rel.ID)
			require.NoError(t, err)
			require.Equal(t, []github.Asset{a}, got.Assets, "one asset, nothing left over")
			var b bytes.Buffer
			require.NoError(t, c.Download(t.Context(), a, &b))
			require.Equal(t, "{\"content\":\"long enough\"}\n", b.String())
		})
	}
}
