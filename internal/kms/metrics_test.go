package kms_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// scrape is what Prometheus reads of the world's service.
func scrape(t *testing.T, s *kms.Service) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://kms/metrics", nil)
	require.NoError(t, err)
	resp, err := local{s.MetricsHandler()}.RoundTrip(r)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := idle(t, nil)
	require.Contains(t, scrape(t, w.service), "\nmero_kms_policy_ready 0\n")
	require.NoError(t, w.service.LoadPolicy(t.Context()))
	a := w.node(t, "1.0.0", release.Debug)
	key, err := a.GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)
	_, err = w.node(t, "1.0.0", release.LockedReadOnly).GetKey(t.Context(), w.url, transportOf(w))
	requireRefused(t, err, http.StatusForbidden, wire.PolicyViolation)
	pending := begin(t, w, a)
	_, _ = post(t, w.url+"/no/such/"+string(a.PeerID()), []byte("{}"))

	said := scrape(t, w.service)
	for _, line := range []string{
		`mero_kms_decisions_total{reason="admitted",result="released"} 1`,
		`mero_kms_decisions_total{reason="policy_violation",result="refused"} 1`,
		`mero_kms_decision_seconds_count{result="released"} 1`,
		`mero_kms_requests_total{endpoint="/challenge",status="200"} 3`,
		`mero_kms_requests_total{endpoint="other",status="404"} 1`,
		`mero_kms_challenges_used 2`, `mero_kms_policy_ready 1`,
		`mero_kms_info{profile="debug",version="1.2.0"} 1`,
	} {
		require.Contains(t, said, "\n"+line+"\n")
	}
	require.Regexp(t, `\nmero_kms_collateral_age_seconds 0?\.?\d`, said)
	for _, secret := range []string{string(a.PeerID()), "12D3KooW", pending.challenge.ChallengeID, string(key)} {
		require.NotContains(t, said, secret)
	}
}

func TestMetricsAreServedUntilTheEnd(t *testing.T) {
	t.Parallel()
	w, l := idle(t, nil), listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.service.ServeMetrics(ctx, l) }()
	for path, want := range map[string]int{"/metrics": http.StatusOK, "/health": http.StatusNotFound} {
		resp, err := http.Get("http://" + l.Addr().String() + path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode)
	}
	resp, err := http.Get(newServer(t, w.service) + "/metrics")
	require.NoError(t, err)
	var said wire.Error
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&said))
	require.NoError(t, resp.Body.Close())
	require.Equal(t, wire.NotFound, said.Error, "strangers reach no metrics")
	stop()
	require.NoError(t, <-served)
	lost := listen(t)
	require.NoError(t, lost.Close())
	require.Error(t, w.service.ServeMetrics(t.Context(), lost))
}

func TestAMetricOfALostStoreIsNotANumber(t *testing.T) {
	t.Parallel()
	server := kms.StartRedis(t)
	w := newWorld(t, nil, "REDIS_URL="+server.URL)
	require.Contains(t, scrape(t, w.service), "\nmero_kms_challenges_used 0\n")
	server.Kill(t)
	require.Contains(t, scrape(t, w.service), "\nmero_kms_challenges_used NaN\n")
	server.Start(t)
}

func TestARequestThatFindsNoRoomCanBeMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := begin(t, w, w.node(t, "1.0.0", release.Debug))
	empty := w.service.FillQueues()
	for path, body := range map[string]any{"/get-key": a.request,
		"/attest": wire.AttestRequest{NonceB64: b64(make([]byte, 32))}} {
		status, said := post(t, w.url+path, body)
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Equal(t, wire.RateLimited, said.Error)
	}
	empty()
	status, _ := post(t, w.url+"/get-key", a.request)
	require.Equal(t, http.StatusOK, status, "the challenge was not taken")
}
