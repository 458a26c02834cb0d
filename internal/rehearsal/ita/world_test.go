package ita_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

const (
	key = "dGhlIHJlaGVhcnNhbCdzIGtleQ=="
	api = "https://api.trustauthority.intel.com"
)

var authority = sync.OnceValues(ita.NewAuthority)

// world is the service on its network, beside a simulated TD.
type world struct {
	network *network.Network
	service *ita.Service
	pcs     *tdxsim.PCS
	td      *tdxsim.TD
	client  *http.Client
	mu      sync.Mutex
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{network: network.New(), now: time.Now()}
	t.Cleanup(func() { require.NoError(t, w.network.Close()) })
	w.client = &http.Client{Transport: w.network.Transport()}
	pki, err := tdxsim.NewPKI([]byte("trust authority"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(0)
	require.NoError(t, err)
	w.td = platform.NewTD(tdx.Register{1})
	verifier, err := tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: tdx.NewCollateral(w.client)})
	require.NoError(t, err)
	a, err := authority()
	require.NoError(t, err)
	w.service = ita.New(ita.Options{Authority: a, APIKey: key, Verifier: verifier, Now: w.clock})
	w.pcs = tdxsim.NewPCS(pki, time.Now, platform)
	for _, host := range tdxsim.Hosts() {
		require.NoError(t, w.network.Handle(host, w.pcs))
	}
	for _, host := range ita.Hosts() {
		require.NoError(t, w.network.Handle(host, w.service))
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// call sends a request with the key and returns status and body.
func (w *world) call(t *testing.T, method, url string, body any) (int, []byte) {
	t.Helper()
	data, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(data))
	require.NoError(t, err)
	request.Header.Set("x-api-key", key)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	response, err := w.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, answer
}

type nonce struct {
	Val       []byte `json:"val"`
	Iat       []byte `json:"iat"`
	Signature []byte `json:"signature"`
}

func (w *world) nonce(t *testing.T) *nonce {
	t.Helper()
	status, body := w.call(t, http.MethodGet, api+"/appraisal/v2/nonce", nil)
	require.Equal(t, http.StatusOK, status)
	n := &nonce{}
	require.NoError(t, json.Unmarshal(body, n))
	return n
}

// evidence is what a client of the service's nonce sends.
func (w *world) evidence(t *testing.T, n *nonce, runtimeData []byte) map[string]any {
	t.Helper()
	quote, err := w.td.Quote(4, sha512.Sum512(slices.Concat(n.Val, n.Iat, runtimeData)))
	require.NoError(t, err)
	return map[string]any{"quote": quote, "verifier_nonce": n, "runtime_data": runtimeData}
}

func (w *world) attest(t *testing.T, body any) (int, string) {
	t.Helper()
	status, answer := w.call(t, http.MethodPost, api+"/appraisal/v2/attest", body)
	return status, string(answer)
}
