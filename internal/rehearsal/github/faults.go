package github

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
)

// Match selects the requests that a fault is for.
type Match func(*http.Request) bool

// Writes matches every request that changes something.
func Writes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// Unavailable answers the first n matching requests with a 5xx status. After
// says that they are carried out first, so that only the answer is lost.
func Unavailable(next http.Handler, match Match, n int64, status int, after bool) http.Handler {
	return first(next, match, n, func(w http.ResponseWriter, r *http.Request) {
		if after {
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		write(w, fail(status, http.StatusText(status)))
	})
}

// RateLimited answers the first n matching requests with GitHub's secondary
// rate limit, 403 and 429 in turn, and a Retry-After of so many seconds; 0 leaves
// it out, as GitHub often does.
func RateLimited(next http.Handler, match Match, n int64, retryAfter int) http.Handler {
	var refused atomic.Int64
	return first(next, match, n, func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		status := http.StatusForbidden
		if refused.Add(1)%2 == 0 {
			status = http.StatusTooManyRequests
		}
		write(w, fail(status,
			"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."))
	})
}

// CutUploads breaks the first n uploads off half way and closes the connection:
// the asset stays behind in the state "starter".
func CutUploads(next http.Handler, n int64) http.Handler {
	uploads := func(r *http.Request) bool { return r.Method == http.MethodPost && r.Host == uploadHost }
	return first(next, uploads, n, func(_ http.ResponseWriter, r *http.Request) {
		r.Body = io.NopCloser(io.LimitReader(r.Body, r.ContentLength/2))
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
}

// KillAfter answers n matching requests and then no more: connections are closed. After
// says that request n+1 is still carried out, so that only its answer is lost.
func KillAfter(next http.Handler, match Match, n int64, after bool) http.Handler {
	var seen atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count := int64(0)
		if match(r) {
			count = seen.Add(1)
		}
		if max(count, seen.Load()) <= n {
			next.ServeHTTP(w, r)
			return
		}
		if after && count == n+1 {
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	})
}

func first(next http.Handler, match Match, n int64, fault http.HandlerFunc) http.Handler {
	var seen atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if match(r) && seen.Add(1) <= n {
			fault(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
