package guestattr_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
)

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func TestReportsComeBack(t *testing.T) {
	t.Parallel()
	for _, report := range [][]byte{{}, []byte("{}"), noise(60_000), bytes.Repeat([]byte("x"), guestattr.MaxReport)} {
		entries, err := guestattr.Encode("report", report)
		require.NoError(t, err)
		for i := range entries { // in any order, beside others
			_, err := guestattr.Decode("report", entries[:i])
			require.ErrorIs(t, err, guestattr.ErrIncomplete, "the summary comes last")
		}
		slices.Reverse(entries)
		again, err := guestattr.Decode("report", append(entries, guestattr.Entry{Key: "other", Value: "x"}))
		require.NoError(t, err)
		require.Equal(t, report, append([]byte{}, again...))
	}
}

// The report of a machine that booted once more comes piece by piece over the
// first one: until its summary is there it is not complete, and not damaged.
func TestTheNextReport(t *testing.T) {
	t.Parallel()
	before, after := noise(300_000), noise(60_000)
	there, err := guestattr.Encode("report", before)
	require.NoError(t, err)
	next, err := guestattr.Encode("report", after)
	require.NoError(t, err)
	for _, e := range next {
		_, err := guestattr.DecodeNext("report", there, before)
		require.ErrorIs(t, err, guestattr.ErrIncomplete)
		i := slices.IndexFunc(there, func(old guestattr.Entry) bool { return old.Key == e.Key })
		there[i] = e
	}
	got, err := guestattr.DecodeNext("report", there, before)
	require.NoError(t, err)
	require.Equal(t, after, got)
	_, err = guestattr.DecodeNext("report", nil, before)
	require.ErrorIs(t, err, guestattr.ErrIncomplete, "a machine may lose its attributes")
}

func TestEncodeIsBounded(t *testing.T) {
	t.Parallel()
	_, err := guestattr.Encode("report", make([]byte, guestattr.MaxReport+1))
	require.ErrorContains(t, err, "more than")
	_, err = guestattr.Encode("report", noise(380_000))
	require.ErrorContains(t, err, "guest attributes")
	largest, err := guestattr.Encode("report", noise(359_000))
	require.NoError(t, err)
	require.Len(t, largest, 3, "more could not be written in a second")
	for _, e := range largest {
		require.LessOrEqual(t, len(e.Value), 256_000)
	}
}

func TestDamagedReports(t *testing.T) {
	t.Parallel()
	good, err := guestattr.Encode("r", noise(300_000))
	require.NoError(t, err)
	require.Len(t, good, 3)
	bomb, err := guestattr.Encode("r", bytes.Repeat([]byte{0}, guestattr.MaxReport))
	require.NoError(t, err)
	for name, damage := range map[string]func(e []guestattr.Entry) []guestattr.Entry{
		"a chunk is missing": func(e []guestattr.Entry) []guestattr.Entry { return e[1:] },
		"chunks are swapped": func(e []guestattr.Entry) []guestattr.Entry {
			e[0].Value, e[1].Value = e[1].Value, e[0].Value
			return e
		},
		"another report's summary": func(e []guestattr.Entry) []guestattr.Entry {
			e[2].Value = "2" + bomb[len(bomb)-1].Value[1:]
			return e
		},
		"a summary of no chunks":      func(e []guestattr.Entry) []guestattr.Entry { e[2].Value = "0 sha256:"; return e },
		"a summary of too many":       func(e []guestattr.Entry) []guestattr.Entry { e[2].Value = "9999 sha256:"; return e },
		"a summary that is a report":  func(e []guestattr.Entry) []guestattr.Entry { e[2].Value = "{}"; return e },
		"a chunk that is not base64":  func(e []guestattr.Entry) []guestattr.Entry { e[1].Value = "%"; return e },
		"a chunk larger than allowed": func(e []guestattr.Entry) []guestattr.Entry { e[0].Value += "AAAA"; return e },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := guestattr.Decode("r", damage(slices.Clone(good)))
			require.Error(t, err)
			require.NotErrorIs(t, err, guestattr.ErrIncomplete)
		})
	}
}

// server is a VM's metadata server.
type server struct {
	mu     sync.Mutex
	busy   int // this many requests are answered 429 first
	stored []guestattr.Entry
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, guest := strings.CutPrefix(r.URL.Path, "/computeMetadata/v1/instance/guest-attributes/mero/")
	switch {
	case r.Header.Get("Metadata-Flavor") != "Google":
		w.WriteHeader(http.StatusForbidden)
	case s.busy > 0:
		s.busy--
		w.WriteHeader(http.StatusTooManyRequests)
	case r.Method == http.MethodPut && guest:
		value, _ := io.ReadAll(r.Body)
		s.stored = append(s.stored, guestattr.Entry{Key: key, Value: string(value)})
	case r.URL.Path == "/computeMetadata/v1/instance/attributes/mero-nonce":
		_, _ = io.WriteString(w, "00ff")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func metadata(t *testing.T, s *server) *guestattr.Metadata {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &guestattr.Metadata{Host: h.Listener.Addr().String(), HTTP: h.Client(),
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	s, report := &server{busy: 3}, noise(40_000)
	m := metadata(t, s)
	require.NoError(t, m.Publish(t.Context(), "mero", "report", report))
	again, err := guestattr.Decode("report", s.stored)
	require.NoError(t, err)
	require.Equal(t, report, again)
	require.ErrorContains(t, m.Publish(t.Context(), "other", "report", report), "enable-guest-attributes")
	s.busy = 1000
	require.ErrorContains(t, m.Publish(t.Context(), "mero", "report", report), "429")
}

// A machine that writes faster than its quota is refused, and the report with it.
func TestPublishIsPaced(t *testing.T) {
	t.Parallel()
	s, paces := &server{}, []time.Duration{}
	m := metadata(t, s)
	m.Wait = func(ctx context.Context, d time.Duration) error { paces = append(paces, d); return ctx.Err() }
	require.NoError(t, m.Publish(t.Context(), "mero", "report", noise(300_000)))
	require.Len(t, paces, len(s.stored)-1)
	for _, d := range paces {
		require.GreaterOrEqual(t, 3*d, time.Second, "three writes in a second at most")
	}
	ctx, cancel := context.WithCancel(t.Context())
	m.Wait = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	require.ErrorIs(t, m.Publish(ctx, "mero", "report", noise(300_000)), context.Canceled)
}

func TestAttribute(t *testing.T) {
	t.Parallel()
	m := metadata(t, &server{})
	value, err := m.Attribute(t.Context(), "mero-nonce")
	require.NoError(t, err)
	require.Equal(t, "00ff", value)
	value, err = m.Attribute(t.Context(), "absent")
	require.NoError(t, err)
	require.Empty(t, value)
}

// absent is a network that comes up after some attempts.
type absent struct {
	http.RoundTripper
	attempts *int
}

func (a absent) RoundTrip(r *http.Request) (*http.Response, error) {
	if *a.attempts--; *a.attempts >= 0 {
		return nil, errors.New("network is unreachable")
	}
	return a.RoundTripper.RoundTrip(r)
}

// At boot the network may be up later than the agent; only the deadline ends the wait.
func TestWaitsForTheNetwork(t *testing.T) {
	t.Parallel()
	m, attempts := metadata(t, &server{}), 100
	m.HTTP = &http.Client{Transport: absent{m.HTTP.Transport, &attempts}}
	var longest time.Duration
	m.Wait = func(ctx context.Context, d time.Duration) error { longest = max(longest, d); return ctx.Err() }
	value, err := m.Attribute(t.Context(), "mero-nonce")
	require.NoError(t, err)
	require.Equal(t, "00ff", value)
	require.Equal(t, 5*time.Second, longest)

	ctx, cancel := context.WithCancel(t.Context())
	attempts = 1 << 30
	m.Wait = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	_, err = m.Attribute(ctx, "mero-nonce")
	require.ErrorContains(t, err, "unreachable")
}

func TestAnAttributeTooLarge(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(make([]byte, 256<<10+1))
	}))
	t.Cleanup(h.Close)
	m := &guestattr.Metadata{Host: h.Listener.Addr().String(), HTTP: h.Client(),
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	_, err := m.Attribute(t.Context(), "mero-nonce")
	require.ErrorContains(t, err, "more than 262144 bytes")
	require.EqualValues(t, 1, asked.Load(), "it would be as large again")
}

func FuzzDecode(f *testing.F) {
	good, err := guestattr.Encode("r", []byte("report"))
	require.NoError(f, err)
	f.Add(good[0].Value, good[1].Value)
	f.Add("", "8 sha256:")
	f.Fuzz(func(t *testing.T, chunk, summary string) {
		report, err := guestattr.Decode("r", []guestattr.Entry{{Key: "r-0", Value: chunk}, {Key: "r", Value: summary}})
		if err == nil {
			require.LessOrEqual(t, len(report), guestattr.MaxReport)
		}
	})
}
