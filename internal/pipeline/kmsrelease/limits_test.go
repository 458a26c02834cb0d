package kmsrelease_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/release"
)

// limited is a network in which Fulcio and Rekor are asked too often, on a clock that only pauses move.
type limited struct {
	next    http.RoundTripper
	fronts  map[string]http.Handler // by host
	mu      sync.Mutex
	now     time.Duration
	refused int
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	front := l.fronts[r.URL.Host]
	if front == nil {
		return l.next.RoundTrip(r)
	}
	l.mu.Lock()
	refusal := httptest.NewRecorder()
	front.ServeHTTP(refusal, r)
	refused := refusal.Code == http.StatusTooManyRequests
	if refused {
		l.refused++
	}
	l.mu.Unlock()
	if refused {
		return refusal.Result(), nil
	}
	return l.next.RoundTrip(r)
}

// wait lets a pause pass at once: pauses side by side end at the latest of their ends.
func (l *limited) wait(ctx context.Context, d time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now += d
	return ctx.Err()
}

func limit(next http.RoundTripper, lasts time.Duration) *limited {
	l := &limited{next: next, fronts: map[string]http.Handler{}}
	for host, silent := range map[string]bool{sigstore.FulcioHost: true, sigstore.RekorHost: false} {
		l.fronts[host] = sigstore.Limit{Lasts: lasts, Silent: silent,
			Now: func() time.Time { return time.Unix(0, 0).Add(l.now) }}.
			Before(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}
	return l
}

// A release is signed although Fulcio and Rekor refuse for half a minute each, with a page and with or without a time.
func TestSigningWaitsOutLimits(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("kms:sign"))
	for _, name := range release.KMS.SignedAssets() {
		require.NoError(t, os.Remove(filepath.Join(releasetest.Staged(dist, stable), name+release.BundleSuffix)))
	}
	p := fixture.Opened(t, s.Root, dist, stable)
	l, signing := limit(p.Env.Transport, 30*time.Second), p.Env.Signing
	p.Env.Signing = func(ctx context.Context, tag release.Tag, c *environment.Checkout) (sign.Config, error) {
		cfg, err := signing(ctx, tag, c)
		cfg.Transport, cfg.Wait = l, l.wait
		return cfg, err
	}
	require.NoError(t, p.Perform(t.Context(), "kms:sign"), "%s", p.Log)
	require.Contains(t, p.Log.String(), "signed 11 assets")
	require.GreaterOrEqual(t, l.refused, 2)
}
