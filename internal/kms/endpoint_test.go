package kms_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Strangers who ask for challenges in a peer's name, and use them, keep neither the peer nor others from their keys.
func TestStrangersTakeNoRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	owner := begin(t, w, w.node(t, "1.0.0", release.Debug))
	for range 200 {
		theirs := begin(t, w, owner.node)
		theirs.request.SignatureB64 = b64(make([]byte, 64))
		status, _ := post(t, w.url+"/get-key", theirs.request)
		require.Equal(t, http.StatusUnauthorized, status)
	}
	stolen := owner.request
	stolen.SignatureB64 = b64(make([]byte, 64))
	status, _ := post(t, w.url+"/get-key", stolen)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, scrape(t, w.service), "\nmero_kms_challenges_used 0\n")
	status, said := post(t, w.url+"/get-key", owner.request)
	require.Equal(t, http.StatusOK, status, said.Details)
	require.Contains(t, scrape(t, w.service), "\nmero_kms_challenges_used 1\n")
}

func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, tc := range map[string]struct {
		path, body string
		status     int
		tag, want  string
	}{
		"oversized": {"/get-key", `{"quoteB64":"` + strings.Repeat("A", wire.MaxBody) + `"}`, 413, wire.InvalidRequest,
			"larger than 65536"},
		"unknown field":  {"/get-key", `{"mock":true}`, 400, wire.InvalidRequest, "mock"},
		"field twice":    {"/challenge", `{"peerId":"a","peerId":"b"}`, 400, wire.InvalidRequest, "twice"},
		"trailing data":  {"/challenge", `{"peerId":"a"}{}`, 400, wire.InvalidRequest, "after the end"},
		"no JSON":        {"/challenge", ``, 400, wire.InvalidRequest, "EOF"},
		"null":           {"/challenge", `null`, 400, wire.InvalidRequest, "not a JSON object"},
		"attest unknown": {"/attest", `{"nonce":""}`, 400, wire.InvalidAttestation, "nonce"},
		"short nonce":    {"/attest", `{"nonceB64":"AAAA"}`, 400, wire.InvalidAttestation, "nonceB64 is not base64 of 32"},
		"bad binding": {"/attest", `{"nonceB64":"` + b64(make([]byte, 32)) + `","bindingB64":"AAAA"}`, 400,
			wire.InvalidAttestation, "bindingB64"},
		"unknown path":     {"/keys", `{}`, 404, wire.NotFound, "/get-key"},
		"method of others": {"/health", `{}`, 405, wire.MethodNotAllowed, "takes GET, HEAD"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, said := post(t, w.url+tc.path, []byte(tc.body))
			require.Equal(t, tc.status, status)
			require.Equal(t, tc.tag, said.Error)
			require.Contains(t, said.Details, tc.want)
		})
	}
}

func TestAttestBindsNonceBindingAndTransportKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	nonce, own, transport := [32]byte{1}, [32]byte{2}, transportOf(w)
	usual := wire.DefaultBinding()
	for _, tc := range []struct {
		request wire.AttestRequest
		want    [32]byte
	}{
		{wire.AttestRequest{}, usual},
		{wire.AttestRequest{BindingB64: b64(usual[:]), EventLog: true}, usual},
		{wire.AttestRequest{TransportKey: true}, wire.AttestBinding(usual, transport)},
		{wire.AttestRequest{TransportKey: true, EventLog: true, BindingB64: b64(own[:])},
			wire.AttestBinding(own, transport)},
	} {
		tc.request.NonceB64 = b64(nonce[:])
		var answer wire.AttestResponse
		answered(t, w.url+"/attest", tc.request, &answer)
		raw, err := base64.StdEncoding.DecodeString(answer.QuoteB64)
		require.NoError(t, err)
		_, err = w.verifier.Verify(t.Context(), raw, wire.AttestReportData(nonce, tc.want))
		require.NoError(t, err)
		require.Equal(t, tc.request.TransportKey, answer.TransportPublicKeyB64 == b64(transport[:]))
		require.Equal(t, tc.request.TransportKey, answer.TransportPublicKeyB64 != "")
		log := ""
		if tc.request.EventLog {
			log = b64(answer.EventLog)
		}
		require.Equal(t, log, answer.EventLogB64)
	}
	w.guest.noTDX.Store(true)
	status, said := post(t, w.url+"/attest", wire.AttestRequest{NonceB64: b64(nonce[:])})
	require.Equal(t, http.StatusInternalServerError, status)
	require.Equal(t, wire.InternalError, said.Error)
}

// Who could choose the quote's second half would have the service vouch for a transport key of theirs.
func TestAttestVouchesForNoKeyOfAnybodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	evil := wire.AttestBinding(wire.DefaultBinding(), wire.NewSealingKey().Public())
	status, said := post(t, w.url+"/attest", wire.AttestRequest{NonceB64: b64(make([]byte, 32)), BindingB64: b64(evil[:])})
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, wire.InvalidAttestation, said.Error)
	require.Contains(t, said.Details, "only together with transportKey")

	var answer wire.AttestResponse
	answered(t, w.url+"/attest", wire.AttestRequest{NonceB64: b64(make([]byte, 32)), BindingB64: b64(evil[:]),
		TransportKey: true}, &answer)
	require.NotContains(t, answer.ReportDataHex, hex.EncodeToString(evil[:]))
}

func TestAttestWithoutATransportKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.guest.noKey.Store(true)
	asks := wire.AttestRequest{NonceB64: b64(make([]byte, 32)), TransportKey: true}
	status, said := post(t, w.url+"/attest", asks)
	require.Equal(t, http.StatusInternalServerError, status)
	require.Equal(t, wire.KeyDerivationFailed, said.Error)
	w.guest.noKey.Store(false)
	var answer wire.AttestResponse
	answered(t, w.url+"/attest", asks, &answer) // what failed is asked again
}

// RFC 9110: who answers GET answers HEAD, with its headers and without its body.
func TestHealthAnswersHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	resp, err := http.Head(w.url + "/health")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	got, err := http.Get(w.url + "/health")
	require.NoError(t, err)
	defer got.Body.Close()
	require.Equal(t, got.ContentLength, resp.ContentLength)
	refused, err := http.Head(w.url + "/challenge")
	require.NoError(t, err)
	defer refused.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, refused.StatusCode)
	require.Equal(t, http.MethodPost, refused.Header.Get("Allow"))
}

// What a page of a stranger can make a browser post, without asking us first.
func TestPostsOfAPageAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"text/plain; application/json", "application/jsonp", "application/json, text/plain"} {
		for _, path := range []string{"/challenge", "/attest", "/get-key"} {
			resp, err := http.Post(w.url+path, kind, strings.NewReader("{}"))
			require.NoError(t, err)
			var said wire.Error
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&said))
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode, "%s %q", path, kind)
			require.Equal(t, wire.UnsupportedMediaType, said.Error)
		}
	}
	resp, err := http.Post(w.url+"/challenge", "Application/JSON; charset=utf-8", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, "it got as far as its body")
}

func FuzzBodies(f *testing.F) {
	f.Add("/get-key", `{"challengeId":"00000000000000000000000000000000","quoteB64":"",`+
		`"peerId":"12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN","peerPublicKeyB64":"","signatureB64":""}`)
	f.Add("/challenge", `{"peerId":"12D3KooW"}`)
	f.Add("/attest", `{"nonceB64":"AAAA"}`)
	w := newWorld(f, nil)
	f.Fuzz(func(t *testing.T, path, body string) {
		r, err := http.NewRequest(http.MethodPost, "http://kms/", strings.NewReader(body))
		require.NoError(t, err)
		r.URL.Path = path
		r.Header.Set("Content-Type", "application/json")
		resp, err := local{w.service.Handler()}.RoundTrip(r)
		require.NoError(t, err)
		require.NotEqual(t, http.StatusInternalServerError, resp.StatusCode,
			"nothing a stranger sends is the service's fault")
		if path == "/get-key" {
			require.NotEqual(t, http.StatusOK, resp.StatusCode, "no challenge was issued, so no key can be had")
		}
	})
}
