package keyservice_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/rehearsal/keyservice"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// world is a service and a node that asks it.
type world struct {
	service *keyservice.Service
	node    *tdxsim.TD
	key     ed25519.PrivateKey
	id      wire.PeerID
	seal    *wire.SealingKey
	sealTo  wire.PublicKey // its public key, unless a test asks with another
}

func newWorld(t *testing.T, keys keyservice.Keys) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("keyservice"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(0)
	require.NoError(t, err)
	s, err := keyservice.New(platform, [32]byte{7}, keys)
	require.NoError(t, err)
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	seal := wire.NewSealingKey()
	return &world{s, platform.NewTD(tdx.Register{1}), key, wire.PeerIDOf(key.Public().(ed25519.PublicKey)), seal,
		seal.Public()}
}

// post sends a body, and decodes what a 200 answers.
func (w *world) post(t *testing.T, path string, body, answer any) (int, string) {
	t.Helper()
	data, err := json.Marshal(body)
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(string(data)))
	r.Header.Set("Content-Type", "application/json")
	return w.do(t, r, answer)
}

func (w *world) do(t *testing.T, r *http.Request, answer any) (int, string) {
	t.Helper()
	out := httptest.NewRecorder()
	w.service.ServeHTTP(out, r)
	if out.Code == http.StatusOK {
		require.NoError(t, json.Unmarshal(out.Body.Bytes(), answer))
		return out.Code, ""
	}
	var refused wire.Error
	require.NoError(t, json.Unmarshal(out.Body.Bytes(), &refused))
	return out.Code, refused.Error
}

// stranger is another peer's public key.
func stranger() ed25519.PublicKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32))).Public().(ed25519.PublicKey)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// request is a true one, over a fresh challenge.
func (w *world) request(t *testing.T) wire.KeyRequest {
	t.Helper()
	_, q := w.begin(t)
	return q
}

func (w *world) begin(t *testing.T) (wire.ChallengeResponse, wire.KeyRequest) {
	t.Helper()
	var c wire.ChallengeResponse
	code, tag := w.post(t, "/challenge", wire.ChallengeRequest{PeerID: string(w.id)}, &c)
	require.Equal(t, http.StatusOK, code, tag)
	nonce, err := wire.Bytes(c.NonceB64)
	require.NoError(t, err)
	return c, w.over(t, c.ChallengeID, [32]byte(nonce), [32]byte(nonce))
}

// over signs a quote over one nonce for a challenge of another.
func (w *world) over(t *testing.T, id string, quoted, nonce [32]byte) wire.KeyRequest {
	t.Helper()
	quote, err := w.node.Quote(4, wire.SealedReportData(quoted, w.sealTo, w.id))
	require.NoError(t, err)
	return wire.KeyRequest{ChallengeID: id, PeerID: string(w.id), QuoteB64: b64(quote),
		PeerPublicKeyB64: b64(wire.MarshalPublicKey(w.key.Public().(ed25519.PublicKey))),
		SignatureB64:     b64(ed25519.Sign(w.key, wire.SignedPayload(id, nonce, w.id, quote, &w.sealTo))),
		SealToB64:        b64(w.sealTo[:])}
}

// attest asks for a quote over a nonce of zeros and the binding.
func (w *world) attest(t *testing.T, binding []byte, transport bool) (wire.AttestResponse, *tdx.Quote) {
	t.Helper()
	q := wire.AttestRequest{NonceB64: b64(make([]byte, 32)), BindingB64: b64(binding), TransportKey: transport,
		EventLog: transport}
	var a wire.AttestResponse
	code, tag := w.post(t, "/attest", q, &a)
	require.Equal(t, http.StatusOK, code, tag)
	raw, err := wire.Bytes(a.QuoteB64)
	require.NoError(t, err)
	quote, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	return a, quote
}

func TestAttestQuotesNonceAndBinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own)
	a, quote := w.attest(t, nil, false)
	require.Equal(t, wire.AttestReportData([32]byte{}, wire.DefaultBinding()), quote.ReportData)
	require.Empty(t, a.TransportPublicKeyB64+a.EventLogB64, "neither was asked for")
	log, err := tdx.ParseDstackLog(a.EventLog)
	require.NoError(t, err)
	_, err = tdx.DstackBoot(log, quote.Registers)
	require.NoError(t, err)
	for _, bad := range []wire.AttestRequest{{}, {NonceB64: b64(make([]byte, 31))},
		{NonceB64: b64(make([]byte, 32)), BindingB64: "AA=="},
		{NonceB64: b64(make([]byte, 32)), BindingB64: b64(make([]byte, 32))}} {
		code, tag := w.post(t, "/attest", bad, nil)
		require.Equal(t, http.StatusBadRequest, code)
		require.Equal(t, wire.InvalidAttestation, tag)
	}
}

func TestAttestQuotesTheTransportKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own)
	for name, binding := range map[string][]byte{"default": nil, "given": make([]byte, 32)} {
		a, quote := w.attest(t, binding, true)
		transport, err := wire.Bytes(a.TransportPublicKeyB64)
		require.NoError(t, err)
		want := wire.DefaultBinding()
		if binding != nil {
			want = [32]byte(binding)
		}
		want = wire.AttestBinding(want, wire.PublicKey(transport))
		require.Equal(t, wire.AttestReportData([32]byte{}, want), quote.ReportData, name)
		log, err := wire.Bytes(a.EventLogB64)
		require.NoError(t, err)
		require.JSONEq(t, string(a.EventLog), string(log))
	}
}

// opened is the key that an answer of /get-key holds for the world's node.
func (w *world) opened(t *testing.T, c wire.ChallengeResponse, answer wire.KeyResponse) string {
	t.Helper()
	require.Empty(t, answer.Key)
	a, _ := w.attest(t, nil, true)
	transport, err := wire.Bytes(a.TransportPublicKeyB64)
	require.NoError(t, err)
	challenge, err := wire.Bytes(c.NonceB64)
	require.NoError(t, err)
	seals, err := w.seal.SealedBy(wire.PublicKey(transport), wire.Release{Nonce: [32]byte(challenge), PeerID: w.id})
	require.NoError(t, err)
	nonce, err := wire.Bytes(answer.SealNonceB64)
	require.NoError(t, err)
	sealed, err := wire.Bytes(answer.SealedKeyB64)
	require.NoError(t, err)
	key, err := seals.Open(nonce, sealed)
	require.NoError(t, err)
	return string(key)
}

func TestAChallengeIsOfOnePeerAndOneUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own)
	c, q := w.begin(t)
	var answer wire.KeyResponse
	code, tag := w.post(t, "/get-key", q, &answer)
	require.Equal(t, http.StatusOK, code, tag)
	require.Equal(t, keyservice.Key(string(w.id)), w.opened(t, c, answer))
	code, tag = w.post(t, "/get-key", q, nil)
	require.Equal(t, http.StatusUnauthorized, code)
	require.Equal(t, wire.InvalidChallenge, tag)
	other := w.request(t)
	other.PeerID = string(wire.PeerIDOf(stranger()))
	_, tag = w.post(t, "/get-key", other, nil)
	require.Equal(t, wire.InvalidChallenge, tag)
	code, tag = w.post(t, "/challenge", wire.ChallengeRequest{PeerID: "nobody"}, nil)
	require.Equal(t, http.StatusBadRequest, code)
	require.Equal(t, wire.InvalidPeerID, tag)
	require.Equal(t, []string{string(w.id)}, w.service.Asked())
}

func TestAClearKeyIsNotReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own)
	var requests []wire.KeyRequest
	for _, sealTo := range []string{"", b64(make([]byte, 31)), "%"} {
		q := w.request(t)
		q.SealToB64 = sealTo
		requests = append(requests, q)
	}
	w.sealTo = wire.PublicKey{} // a point of low order
	for _, q := range append(requests, w.request(t)) {
		code, tag := w.post(t, "/get-key", q, nil)
		require.Equal(t, http.StatusBadRequest, code, q.SealToB64)
		require.Equal(t, wire.InvalidAttestation, tag, q.SealToB64)
	}
	require.Empty(t, w.service.Asked())
}

func TestAKeyRequestThatProvesNothing(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*world, *wire.KeyRequest, *testing.T){
		wire.InvalidPeerPublicKey: func(_ *world, q *wire.KeyRequest, _ *testing.T) { q.PeerPublicKeyB64 = "AA==" },
		wire.PeerIdentityMismatch: func(_ *world, q *wire.KeyRequest, _ *testing.T) {
			q.PeerPublicKeyB64 = b64(wire.MarshalPublicKey(stranger()))
		},
		wire.InvalidSignature: func(_ *world, q *wire.KeyRequest, _ *testing.T) {
			other := wire.NewSealingKey().Public()
			q.SealToB64 = b64(other[:])
		},
		wire.AttestationFailed: func(w *world, q *wire.KeyRequest, t *testing.T) {
			var c wire.ChallengeResponse
			w.post(t, "/challenge", wire.ChallengeRequest{PeerID: string(w.id)}, &c)
			nonce, _ := wire.Bytes(c.NonceB64)
			*q = w.over(t, c.ChallengeID, [32]byte{9}, [32]byte(nonce))
		},
	} {
		w := newWorld(t, keyservice.Own)
		q := w.request(t)
		change(w, &q, t)
		_, tag := w.post(t, "/get-key", q, nil)
		require.Equal(t, want, tag)
		require.Empty(t, w.service.Asked(), "no key was looked up")
	}
}

func TestARefusalIsAPolicyViolation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Refusing)
	code, tag := w.post(t, "/get-key", w.request(t), nil)
	require.Equal(t, http.StatusForbidden, code)
	require.Equal(t, wire.PolicyViolation, tag)
}

func TestRequestsThatNoNodeSends(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own)
	get := func(path string) *http.Request {
		return httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	}
	post := func(path, body, kind string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		return r
	}
	large := strings.Repeat(" ", wire.MaxBody+1)
	for name, tc := range map[string]struct {
		request *http.Request
		code    int
	}{
		"another path":       {post("/keys", "{}", "application/json"), http.StatusNotFound},
		"another method":     {get("/attest"), http.StatusMethodNotAllowed},
		"another type":       {post("/get-key", "{}", "text/plain"), http.StatusUnsupportedMediaType},
		"an unknown field":   {post("/get-key", `{"challenge":"x"}`, "application/json"), http.StatusBadRequest},
		"a body too large":   {post("/attest", large, "application/json"), http.StatusRequestEntityTooLarge},
		"a challenge, empty": {post("/challenge", "", "application/json"), http.StatusBadRequest},
	} {
		code, _ := w.do(t, tc.request, nil)
		require.Equal(t, tc.code, code, name)
	}
	var h wire.Health
	code, _ := w.do(t, get("/health"), &h)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, wire.Service, h.Service)
}
