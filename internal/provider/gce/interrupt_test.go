package gce_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

// atCall runs do at the nth request: before it is carried out, or after and
// before its answer leaves.
func atCall(n int32, before bool, do func()) func(http.Handler) http.Handler {
	var seen atomic.Int32
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			here := seen.Add(1) == n
			if here && before {
				do()
			}
			rec := &held{ResponseWriter: w}
			next.ServeHTTP(rec, r)
			if here && !before {
				do()
			}
			rec.flush()
		})
	}
}

// held keeps an answer back until flush.
type held struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (h *held) Header() http.Header {
	if h.ResponseWriter == nil {
		return http.Header{} // of an answer that nobody gets
	}
	return h.ResponseWriter.Header()
}

func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(b []byte) (int, error) { h.body = append(h.body, b...); return len(b), nil }

func (h *held) flush() {
	if h.status != 0 {
		h.ResponseWriter.WriteHeader(h.status)
	}
	_, _ = h.ResponseWriter.Write(h.body)
}

// A cancellation in the middle of each call, before it is carried out and after.
func TestACancellationDeletesTheVM(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{true, false} {
		for n := int32(1); ; n++ {
			c := newCloud(t, rehearsal.Faults{})
			ctx, cancel := context.WithCancel(t.Context())
			c.around = atCall(n, before, cancel)
			_, err := c.bare().Run(ctx, spec())
			cancelled := ctx.Err() != nil
			cancel()
			c.requireClean()
			events := c.events()
			require.Equal(t, "end vm", events[len(events)-1])
			if !cancelled {
				require.NoError(t, err)
				require.Greater(t, n, int32(6), "a run takes more calls")
				break
			}
			require.True(t, err == nil || errors.Is(err, context.Canceled), "call %d: %v", n, err)
		}
	}
}

var errKilled = errors.New("killed")

// killable is a process: once dead, it sends, hears and writes nothing any more.
func (c *cloud) killable(dead *atomic.Bool) gce.Options {
	o := c.options
	o.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if dead.Load() {
			return nil, errKilled
		}
		resp, err := c.options.Transport.RoundTrip(r)
		if dead.Load() && err == nil {
			_ = resp.Body.Close() // nobody reads it
			return nil, errKilled
		}
		return resp, err
	})
	o.Journal = func(e journal.Entry) error {
		if dead.Load() {
			return errKilled
		}
		return c.options.Journal(e)
	}
	return o
}

// What a killed process leaves is found by the label of its run.
func TestAKillLeavesNothingThatASweepDoesNotFind(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{true, false} {
		for n := int32(1); killedAt(t, n, before); n++ {
			require.Less(t, n, int32(50), "a run takes fewer calls")
		}
	}
}

// killedAt says whether a run has that many calls.
func killedAt(t *testing.T, n int32, before bool) bool {
	c := newCloud(t, rehearsal.Faults{})
	var dead atomic.Bool
	c.around = atCall(n, before, func() { dead.Store(true) })
	first, err := gce.New(t.Context(), c.killable(&dead))
	require.NoError(t, err)
	_, err = first.Run(t.Context(), spec())
	require.NoError(t, first.Close())
	if !dead.Load() {
		require.NoError(t, err)
		return false
	}
	require.ErrorIs(t, err, errKilled)
	require.ErrorContains(t, err, "may be left behind")

	c.options.Wait = nil // a deletion that the killed process began takes its time
	again := c.bare()
	_, err = again.SweepRun(t.Context(), runLabel)
	require.NoError(t, err, "call %d", n)
	c.requireClean()
	left, err := again.Leftovers(t.Context())
	require.NoError(t, err)
	require.Len(t, left, 1, "the image stays")
	got, err := again.Run(t.Context(), spec())
	require.NoError(t, err)
	require.Equal(t, report, got.Report)
	return true
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// inserts answers insertions in turn; what is nil is carried out.
func inserts(answers ...func(w http.ResponseWriter, r *http.Request, next http.Handler)) func(
	http.Handler) http.Handler {
	var seen atomic.Int32
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/instances") {
				next.ServeHTTP(w, r)
				return
			}
			q := r.URL.Query()
			q.Del("requestId") // the server would know the request again
			r.URL.RawQuery = q.Encode()
			if n := int(seen.Add(1)) - 1; n < len(answers) {
				answers[n](w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func lost(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(&held{}, r)
	panic(http.ErrAbortHandler)
}

func taken(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	refuse(409, "alreadyExists", "The resource already exists").ServeHTTP(w, r)
}

func busy(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	refuse(503, "backendError", "Backend Error").ServeHTTP(w, r)
}

// The first answer is lost; that the VM exists says only that it was heard.
func TestAVMOfOursIsAdopted(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{Slow: map[string]time.Duration{"instances.insert": 200 * time.Millisecond}})
	c.options.Wait = nil // the VM takes its time
	c.around = inserts(lost)
	got, err := c.bare().Run(t.Context(), spec())
	require.NoError(t, err)
	require.Equal(t, report, got.Report)
	require.Equal(t, wholeLife, c.events())
	c.requireClean()
}

// A VM of somebody else's with our name is not ours to use, nor to delete.
func TestAVMOfAnotherRunIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	c.around = inserts(taken)
	_, err := c.bare().Run(t.Context(), spec())
	require.ErrorContains(t, err, "alreadyExists")
	require.Equal(t, wholeLife, c.events())
	require.Len(t, c.said(&c.requests), 1, "nothing is deleted")

	c = newCloud(t, rehearsal.Faults{})
	theirs := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, single := strings.CutPrefix(r.URL.Path, zoned+"/instances/")
			if r.Method == http.MethodGet && single {
				ok(`{"name":"`+name+`","status":"RUNNING","labels":{"owner":"mero-tee","run":"another"}}`).ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	second := inserts(busy, taken)
	c.around = func(next http.Handler) http.Handler { return second(theirs(next)) }
	_, err = c.bare().Run(t.Context(), spec())
	require.ErrorContains(t, err, "another run")
	require.Equal(t, wholeLife, c.events())
	require.Len(t, c.said(&c.requests), 3, "nothing is deleted")
}

// An insertion that was not answered may be carried out after the VM was asked
// to be deleted: 404 is no proof then.
func TestAVMThatAppearsLate(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	var pending, deletions atomic.Int32
	var late func()
	c.around = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/instances"):
				if pending.Add(1) == 1 {
					body, err := io.ReadAll(r.Body)
					assert.NoError(t, err)
					kept := r.Clone(context.WithoutCancel(r.Context()))
					kept.Body = io.NopCloser(bytes.NewReader(body))
					late = func() { next.ServeHTTP(&held{}, kept) }
				}
				panic(http.ErrAbortHandler)
			case r.Method == http.MethodDelete && deletions.Add(1) == 2:
				late()
			}
			next.ServeHTTP(w, r)
		})
	}
	_, err := c.bare().Run(t.Context(), spec())
	require.Error(t, err)
	require.Equal(t, wholeLife, c.events())
	require.GreaterOrEqual(t, deletions.Load(), int32(2))
	c.requireClean()
}

// Of an insertion that is cut off nobody knows whether it will be carried out.
func TestACancellationDoesNotCutAnInsertionOff(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	way := c.options.Transport
	c.options.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/instances") {
			cancel()
			assert.NoError(t, r.Context().Err())
			deadline, bounded := r.Context().Deadline()
			assert.True(t, bounded)
			assert.Less(t, time.Until(deadline), 31*time.Second)
		}
		return way.RoundTrip(r)
	})
	_, err := c.bare().Run(ctx, spec())
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, wholeLife, c.events())
	c.requireClean()
}
