package ita_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	client "github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/ita"
)

func TestVerifierNonce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.nonce(t)
	status, answer := w.attest(t, map[string]any{"tdx": w.evidence(t, n, []byte("key"))})
	require.Equal(t, http.StatusOK, status, answer)
	status, answer = w.attest(t, w.evidence(t, w.nonce(t), nil))
	require.Equal(t, http.StatusOK, status, answer)
}

func TestRefusedEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := *w.nonce(t)
	other.Val[0] ^= 1
	tampered := w.evidence(t, w.nonce(t), nil)
	tampered["quote"].([]byte)[200] ^= 1
	elsewhere := w.evidence(t, w.nonce(t), nil)
	elsewhere["verifier_nonce"] = w.nonce(t)
	otherData := w.evidence(t, w.nonce(t), []byte("mine"))
	otherData["runtime_data"] = []byte("theirs")
	policy := w.evidence(t, w.nonce(t), nil)
	policy["policy_ids"] = []string{"e48dabc5-9608-4ff3-aaed-f25909ab9de1"}
	algorithm := w.evidence(t, w.nonce(t), nil)
	algorithm["token_signing_alg"] = "none"
	for name, tc := range map[string]struct {
		body any
		why  string
	}{
		"a nonce of somebody else's":      {w.evidence(t, &other, nil), "invalid nonce"},
		"a tampered quote":                {tampered, "quote is not genuine"},
		"a quote over another nonce":      {elsewhere, "report data is not the hash"},
		"a quote over other runtime data": {otherData, "report data is not the hash"},
		"no quote":                        {map[string]any{}, "malformed quote"},
		"a field that does not exist":     {map[string]any{"Quotes": ""}, "unknown field"},
		"no object":                       {"quote", "malformed request"},
		"a policy that does not exist":    {policy, "policy not found"},
		"an algorithm that is none":       {algorithm, "neither PS384 nor RS256"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := w.attest(t, tc.body)
			require.Equal(t, http.StatusBadRequest, status)
			require.Contains(t, answer, tc.why)
		})
	}
	late := w.evidence(t, w.nonce(t), nil)
	w.pass(6 * time.Minute)
	_, answer := w.attest(t, late)
	require.Contains(t, answer, "nonce expired")
}

func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/appraisal/v2/nonce", "/appraisal/v2/attest"} {
		method := map[bool]string{true: http.MethodGet, false: http.MethodPost}[path == "/appraisal/v2/nonce"]
		request, err := http.NewRequestWithContext(t.Context(), method, api+path, nil)
		require.NoError(t, err)
		request.Header.Set("Accept", "application/json")
		request.Header.Set("Content-Type", "application/json")
		for _, wrong := range []string{"", "another"} {
			request.Header.Set("x-api-key", wrong)
			response, err := w.client.Do(request)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusUnauthorized, response.StatusCode, path)
		}
	}
	for _, url := range []string{api + "/certs", "https://portal.trustauthority.intel.com/appraisal/v2/nonce",
		api + "/appraisal/v1/nonce"} {
		status, _ := w.call(t, http.MethodGet, url, nil)
		require.Equal(t, http.StatusNotFound, status, url)
	}
}

func TestBusyAndUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.Change(func(k *ita.Faults) { k.Busy, k.Unavailable, k.RetryAfter = 1, 1, 3*time.Second })
	for _, want := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusOK} {
		status, _ := w.call(t, http.MethodGet, api+"/appraisal/v2/nonce", nil)
		require.Equal(t, want, status)
	}
}

// The keys of a rehearsal stay its own, in a file for its owner alone, and so does its root.
func TestAuthorityIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ita.pem")
	first, err := ita.OpenAuthority(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	again, err := ita.OpenAuthority(path)
	require.NoError(t, err)
	require.Equal(t, first.RootSHA256(), again.RootSHA256())
	other, err := authority()
	require.NoError(t, err)
	require.NotEqual(t, first.RootSHA256(), other.RootSHA256())

	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
	_, err = ita.OpenAuthority(path)
	require.ErrorContains(t, err, "holds 1 keys, not 3", "half a file is not made anew")
}

// Whoever believes Intel does not believe a rehearsal, and can read why.
func TestTheRootSaysWhatItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, keys := w.call(t, http.MethodGet, "https://portal.trustauthority.intel.com/certs", nil)
	require.Equal(t, http.StatusOK, status)
	chain := certificates(t, keys)
	require.Len(t, chain, 3)
	for _, cert := range chain {
		require.Contains(t, cert.Subject.CommonName, "Rehearsal")
		require.Equal(t, []string{"REHEARSAL (not Intel)"}, cert.Subject.Organization)
	}
	a, err := authority()
	require.NoError(t, err)
	root := a.RootSHA256()
	require.NotEqual(t, client.IntelRootSHA256, hexOf(root[:]))
}
