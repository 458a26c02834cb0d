package sign_test

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
)

// limit refuses the requests of a path for a while, on a clock that only pauses move.
type limit struct {
	path   string
	lasts  time.Duration
	silent bool // names no time
	mu     sync.Mutex
	now    time.Duration
	asked  int
}

func (l *limit) wait(ctx context.Context, d time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now += d
	return ctx.Err()
}

func (l *limit) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, l.path) {
		return http.DefaultTransport.RoundTrip(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	left := l.lasts - l.now
	if left <= 0 {
		return http.DefaultTransport.RoundTrip(r)
	}
	refusal := answer(r, http.StatusTooManyRequests)
	refusal.Header.Set("Content-Type", "text/html")
	refusal.Body = io.NopCloser(strings.NewReader("<html><title>429 Too Many Requests</title></html>"))
	if !l.silent {
		refusal.Header.Set("Retry-After", strconv.Itoa(int(left/time.Second)))
	}
	return refusal, nil
}

// Rekor's and Fulcio's fronts refuse for tens of seconds, and may say for how long.
func TestALimitIsWaitedOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limit *limit
		most  int // requests: it does not hammer on
	}{
		"rekor says how long": {&limit{path: "/log/entries", lasts: 40 * time.Second}, 2},
		"rekor does not":      {&limit{path: "/log/entries", lasts: 40 * time.Second, silent: true}, 8},
		"fulcio":              {&limit{path: "/signingCert", lasts: 40 * time.Second, silent: true}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, err := sign.SigningConfig(instance.SigningConfigPath)
			require.NoError(t, err)
			s, err := sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc, Token: tokenOf(instance, identity),
				Transport: tc.limit, Wait: tc.limit.wait})
			require.NoError(t, err)
			digest := sha256.Sum256([]byte(t.Name()))
			raw, err := s.Sign(t.Context(), digest)
			require.NoError(t, err)
			_, err = newVerifier(t, instance, identity).Verify(digest, raw)
			require.NoError(t, err)
			require.LessOrEqual(t, tc.limit.asked, tc.most)
			require.Less(t, tc.limit.now, 2*tc.limit.lasts)
		})
	}
}
