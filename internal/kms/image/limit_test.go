package image_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// limit refuses the requests that match for a time, on a clock that only pauses move.
type limit struct {
	next   http.RoundTripper
	match  func(*http.Request) bool
	says   func(left time.Duration) string // Retry-After
	status int                             // 0: 429

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
	return &http.Response{StatusCode: cmp.Or(l.status, http.StatusTooManyRequests), Header: header, Body: http.NoBody,
		Request: r}, nil
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

// A registry that is down and says for how long is not asked before.
func TestARegistryThatSaysWhenItWillBeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := &limit{next: w.remote.Transport, match: func(r *http.Request) bool { return r.Method == http.MethodHead },
		says:   func(left time.Duration) string { return fmt.Sprint(int(left.Seconds())) },
		status: http.StatusServiceUnavailable, left: 40 * time.Second}
	w.remote.Transport, w.remote.Wait = l, l.wait
	w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
	require.Equal(t, 1, l.asked)
}

// breaking breaks the first answers with a blob off half way.
type breaking struct{ left int }

func (b *breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && strings.Contains(r.URL.Path, "/blobs/") && response.ContentLength > 1000 && b.left > 0 {
		b.left--
		half := io.LimitReader(response.Body, response.ContentLength/2)
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(half, iotest.ErrReader(io.ErrUnexpectedEOF)), response.Body}
	}
	return response, err
}

// The connection may break within a layer: the image is read once more.
func TestALayerThatBreaksOffIsReadAgain(t *testing.T) {
	t.Parallel()
	w, built := newWorld(t), build(t)
	digest := w.push(t.Context(), t, built[release.Debug], release.Debug)
	for name, read := range map[string]func(image.Remote) error{
		"inspect": func(r image.Remote) error { return image.Inspect(t.Context(), digest, expected(release.Debug), r) },
		"unpack": func(r image.Remote) error {
			_, err := image.Unpack(t.Context(), digest, filepath.Join(t.TempDir(), "image"), r)
			return err
		},
		"compare": func(r image.Remote) error {
			_, err := image.Differences(t.Context(), digest, built[release.LockedReadOnly], r)
			return err
		},
	} {
		b, r := &breaking{2}, w.remote
		r.Transport = b
		require.NoError(t, read(r), name)
		require.Zero(t, b.left, name)
		r.Transport = &breaking{1000}
		require.ErrorContains(t, read(r), "unexpected EOF", name)
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
