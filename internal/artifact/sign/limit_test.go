package sign_test

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
)

// limited puts the public instance's front before the requests of a path, on a clock that only pauses move.
type limited struct {
	path  string
	front http.Handler
	mu    sync.Mutex
	now   time.Duration
	asked int
}

func limit(path string, lasts time.Duration, silent bool) *limited {
	l := &limited{path: path}
	l.front = sigstore.Limit{Lasts: lasts, Silent: silent, Now: func() time.Time { return time.Unix(0, 0).Add(l.now) }}.
		Before(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return l
}

func (l *limited) wait(ctx context.Context, d time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now += d
	return ctx.Err()
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, l.path) {
		return http.DefaultTransport.RoundTrip(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	refusal := httptest.NewRecorder()
	if l.front.ServeHTTP(refusal, r); refusal.Code == http.StatusTooManyRequests {
		return refusal.Result(), nil
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (l *limited) signer(t *testing.T) *sign.Signer {
	t.Helper()
	sc, err := root.NewSigningConfigFromPath(instance.SigningConfigPath)
	require.NoError(t, err)
	s, err := sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc, Token: tokenOf(instance, identity), Transport: l,
		Wait: l.wait})
	require.NoError(t, err)
	return s
}

// Rekor's and Fulcio's fronts refuse for tens of seconds, and may say for how long.
func TestALimitIsWaitedOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limit *limited
		most  int // requests: it does not hammer on
	}{
		"rekor says how long":     {limit("/log/entries", 40*time.Second, false), 2},
		"rekor does not":          {limit("/log/entries", 40*time.Second, true), 8},
		"fulcio says how long":    {limit("/signingCert", 40*time.Second, false), 2},
		"fulcio does not":         {limit("/signingCert", 40*time.Second, true), 8},
		"the timestamp authority": {limit("/timestamp", 40*time.Second, true), 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			digest, raw := signedWith(t, tc.limit.signer(t))
			_, err := newVerifier(t, instance, identity).Verify(digest, raw)
			require.NoError(t, err)
			require.LessOrEqual(t, tc.limit.asked, tc.most)
			require.Less(t, tc.limit.now, 2*40*time.Second)
		})
	}
}

// A limit that lasts longer than a signature may take ends it, and says what it was.
func TestALimitThatStays(t *testing.T) {
	t.Parallel()
	l := limit("/log/entries", time.Hour, true)
	_, err := l.signer(t).Sign(t.Context(), sha256.Sum256(nil))
	require.ErrorContains(t, err, "429")
	require.Less(t, l.now, 5*time.Minute)
}

// cutting breaks the first answers of a path off half way.
type cutting struct {
	path string
	left int
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || c.left == 0 || !strings.HasSuffix(r.URL.Path, c.path) {
		return answer, err
	}
	c.left--
	half := io.LimitReader(answer.Body, 100)
	broken := iotest.ErrReader(io.ErrUnexpectedEOF)
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(half, broken), answer.Body}
	return answer, nil
}

// The connection may break within an answer, the certificate's for example, of which a release has but one.
func TestAnAnswerThatBreaksOffIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for path, times := range map[string]int{"/signingCert": 3, "/log/entries": 1, "/timestamp": 3} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			sc, err := root.NewSigningConfigFromPath(instance.SigningConfigPath)
			require.NoError(t, err)
			c := &cutting{path, times}
			s, err := sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc, Token: tokenOf(instance, identity),
				Transport: c, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
			require.NoError(t, err)
			digest, raw := signedWith(t, s)
			_, err = newVerifier(t, instance, identity).Verify(digest, raw)
			require.NoError(t, err)
			require.Zero(t, c.left)
		})
	}
}
