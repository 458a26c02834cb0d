package kms_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

const policyPath = "/calimero-network/mero-tee/releases/download/mero-kms-v1.2.0/attestation-policy-debug.json"

func policyBytes(t *testing.T, change func(*policies.Policy)) []byte {
	t.Helper()
	p := policyFor(nodeRegisters("1.0.0", release.Debug))
	if change != nil {
		change(p)
	}
	data, err := json.Marshal(p)
	require.NoError(t, err)
	return data
}

// remote is a service whose policy comes from h, asked as github.com.
func remote(t *testing.T, h http.Handler, env ...string) *kms.Service {
	t.Helper()
	c, err := kms.Load(append([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug"}, env...), "/nonexistent")
	require.NoError(t, err)
	return kms.New(c, kms.Parts{Transport: local{h}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
}

func serve(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "github.com" || r.URL.Path != policyPath {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}
}

func TestPolicyFromItsReleaseAsset(t *testing.T) {
	t.Parallel()
	data := policyBytes(t, nil)
	sum := sha256.Sum256(data)
	require.NoError(t, remote(t, serve(data)).TryPolicy(t.Context()))
	require.NoError(t, remote(t, serve(data), "MERO_KMS_POLICY_SHA256="+hex.EncodeToString(sum[:])).TryPolicy(t.Context()))

	redirected := func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "github.com" {
			http.Redirect(w, r, "https://release-assets.githubusercontent.com/1", http.StatusFound)
			return
		}
		_, _ = w.Write(data)
	}
	require.NoError(t, remote(t, http.HandlerFunc(redirected)).TryPolicy(t.Context()))
}

func TestPolicyRefused(t *testing.T) {
	t.Parallel()
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	good := policyBytes(t, nil)
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		env     string
		want    string
	}{
		"absent":       {http.NotFound, "", "github.com answered 404"},
		"pinned bytes": {serve(good), "MERO_KMS_POLICY_SHA256=" + strings.Repeat("00", 32), "not the pinned"},
		"another space": {serve(append(good[:len(good):len(good)], ' ')), "MERO_KMS_POLICY_SHA256=" + sha(good),
			"not the pinned"},
		"oversized": {serve(make([]byte, 1<<20+1)), "", "more than 1048576 bytes"},
		"truncated": {serve(good[:len(good)/2]), "", "not an attestation policy"},
		"other version": {serve(policyBytes(t, func(p *policies.Policy) { p.KMSVersion.Patch = 1 })), "",
			"the policy is for 1.2.1 debug"},
		"other profile": {serve(policyBytes(t, func(p *policies.Policy) { p.Profile = release.LockedReadOnly })), "",
			"this service is 1.2.0 debug"},
		"empty TCB list": {serve(policyBytes(t, func(p *policies.Policy) { p.AllowedTCBStatus = nil })), "",
			"allowed_tcb_status"},
		"to plain HTTP": {redirect("http://github.com/p"), "", "refused redirect"},
		"endless":       {redirect("https://github.com/p"), "", "refused redirect"},
		"to a file":     {redirect("file:///etc/passwd"), "", "refused redirect"},
		"no such file":  {http.NotFound, "MERO_KMS_POLICY_URL=file:///nonexistent/p.json", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := remote(t, tc.handler, tc.env)
			require.ErrorContains(t, s.TryPolicy(t.Context()), tc.want)
			w := &world{}
			server := newServer(t, s)
			w.url = server
			h := health(t, w)
			require.False(t, h.PolicyReady)
			require.Contains(t, h.PolicyReason, tc.want, "/health says why")
		})
	}
}

// /health is for strangers: an address is said there without the query that may open it, also that of a redirect.
func TestHealthTellsNoQueryOfThePolicysAddress(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"refused":    http.NotFound,
		"redirected": http.RedirectHandler("http://elsewhere/p?sig=hunter2", http.StatusFound).ServeHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := remote(t, handler, "MERO_KMS_POLICY_URL=https://github.com/p.json?token=hunter2")
			require.Error(t, s.TryPolicy(t.Context()))
			h := health(t, &world{url: newServer(t, s)})
			require.Contains(t, h.PolicyURL, "https://github.com/p.json")
			require.NotContains(t, h.PolicyURL+h.PolicyReason, "hunter2")
		})
	}
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// requirePause allows the quarter that package retry adds by chance.
func requirePause(t *testing.T, least, took time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, took, least)
	require.LessOrEqual(t, took, least*5/4)
}

func TestPolicyIsFetchedAgainWithBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		good, asked := policyBytes(t, nil), []time.Duration{}
		begin := time.Now()
		s := remote(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, time.Since(begin))
			if len(asked) < 12 {
				http.NotFound(w, r)
				return
			}
			serve(good)(w, r)
		}))
		require.NoError(t, s.LoadPolicy(t.Context()))
		require.Len(t, asked, 12)
		for i, least := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			requirePause(t, least, asked[i+1]-asked[i])
		}
		requirePause(t, 5*time.Minute, asked[11]-asked[10]) // they grow no further
	})
}

func TestAPolicyCutShortOnTheWire(t *testing.T) {
	t.Parallel()
	good := policyBytes(t, nil)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(good)))
		_, _ = w.Write(good[:len(good)/2])
	}))
	t.Cleanup(server.Close)
	c, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug",
		"MERO_KMS_POLICY_URL=" + server.URL + "/p.json"}, "/nonexistent")
	require.NoError(t, err)
	s := kms.New(c, kms.Parts{Transport: server.Client().Transport, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, s.TryPolicy(t.Context()), "fetch policy: unexpected EOF")

	unknown := kms.New(c, kms.Parts{Transport: http.DefaultTransport, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, unknown.TryPolicy(t.Context()), "certificate",
		"only a server that TLS vouches for is believed")
}

// dripping answers at once and then sends one byte a second, for as long as it is read.
type dripping struct{}

func (dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(drip{r.Context()}), Request: r}, nil
}

type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	}
}

func TestADrippingPolicyIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug"}, "/nonexistent")
		require.NoError(t, err)
		s := kms.New(c, kms.Parts{Transport: dripping{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		require.ErrorIs(t, s.TryPolicy(t.Context()), context.DeadlineExceeded)
		require.Equal(t, 30*time.Second, time.Since(begin))
	})
}

func TestASlowPolicyIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := remote(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		require.Error(t, s.TryPolicy(t.Context()))
		require.Equal(t, 30*time.Second, time.Since(begin))
	})
}
