package image_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// limit refuses the requests that match for a time, on a clock that only pauses move.
type limit struct {
	next  http.RoundTripper
	match func(*http.Request) bool
	says  func(left time.Duration) string // Retry-After

	mu    sync.Mutex
	left  time.Duration
	asked int
}

func (l *limit) wait(ctx context.Context, d time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left -= d
	return ctx.Err()
}

func (l *limit) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.match(r) || l.left <= 0 {
		return l.next.RoundTrip(r)
	}
	l.asked++
	header := http.Header{"Date": {time.Unix(0, 0).UTC().Format(http.TimeFormat)}}
	if l.says != nil {
		header.Set("Retry-After", l.says(l.left))
	}
	return &http.Response{StatusCode: http.StatusTooManyRequests, Header: header, Body: http.NoBody, Request: r}, nil
}

// A registry's limit of a minute is waited out, whichever request it refuses and however it says how long.
func TestALimitOfTheRegistryIsWaitedOut(t *testing.T) {
	t.Parallel()
	is := func(method, part string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.Path, part) }
	}
	requests := map[string]func(*http.Request) bool{"the first look": is(http.MethodHead, "/manifests/"),
		"an upload's begin": is(http.MethodPost, "/uploads/"), "a manifest": is(http.MethodPut, "/manifests/sha256:"),
		"a tag": is(http.MethodPut, "/manifests/1.2.0"), "the token": is(http.MethodGet, "/token")}
	for form, says := range map[string]func(time.Duration) string{
		"seconds": func(left time.Duration) string { return fmt.Sprint(int(left.Seconds())) },
		"a date":  func(left time.Duration) string { return time.Unix(0, 0).Add(left).UTC().Format(http.TimeFormat) },
		"nothing": nil,
	} {
		for name, match := range requests {
			t.Run(name+", "+form, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				l := &limit{next: w.remote.Transport, match: match, says: says, left: 40 * time.Second}
				w.remote.Transport, w.remote.Wait = l, l.wait
				w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
				require.LessOrEqual(t, l.asked, 3)
				require.Positive(t, l.asked)
			})
		}
	}
}

// A limit of an hour is no pause: it ends the push, and is said.
func TestALimitThatIsTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := &limit{next: w.remote.Transport, match: func(r *http.Request) bool { return r.Method == http.MethodHead },
		says: func(time.Duration) string { return "3600" }, left: time.Hour}
	w.remote.Transport, w.remote.Wait = l, l.wait
	_, err := image.Push(t.Context(), w.tag(t, "1.2.0-debug"), build(t)[release.Debug], w.remote)
	require.ErrorContains(t, err, "1h0m0s")
	require.Equal(t, time.Hour, l.left)
}
