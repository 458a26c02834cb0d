package kms_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func outOfDate(k *tdxsim.Faults) { k.Platform = tdx.OutOfDate }

// post sends v, or the bytes when v is a []byte, and reads the error of the answer.
func post(t *testing.T, url string, v any) (int, wire.Error) {
	t.Helper()
	body, ok := v.([]byte)
	if !ok {
		var err error
		body, err = json.Marshal(v)
		require.NoError(t, err)
	}
	resp, err := http.Post(url, "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var said wire.Error
	require.NoError(t, json.Unmarshal(data, &said))
	return resp.StatusCode, said
}

// attempt is one key request under construction: change a part, and what depends on it follows.
type attempt struct {
	w         *world
	node      *agent.Agent
	id        wire.PeerID
	challenge wire.ChallengeResponse
	nonce     [32]byte
	quote     []byte
	seal      *wire.SealingKey
	sealTo    *wire.PublicKey // its public key, unless the test asks with another, or in the clear: nil
	request   wire.KeyRequest
}

func begin(t *testing.T, w *world, node *agent.Agent) *attempt {
	t.Helper()
	a := &attempt{w: w, node: node, id: node.PeerID(), seal: wire.NewSealingKey()}
	public := a.seal.Public()
	a.sealTo = &public
	resp, err := http.Post(w.url+"/challenge", "application/json", strings.NewReader(`{"peerId":"`+string(a.id)+`"}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&a.challenge))
	nonce, err := base64.StdEncoding.DecodeString(a.challenge.NonceB64)
	require.NoError(t, err)
	a.nonce = [32]byte(nonce)
	a.again(t)
	return a
}

// again quotes and signs what the attempt is now.
func (a *attempt) again(t *testing.T) {
	t.Helper()
	a.quoteOver(t, reportData(a.nonce, a.id, a.sealTo))
}

func reportData(nonce [32]byte, id wire.PeerID, sealTo *wire.PublicKey) [64]byte {
	if sealTo == nil {
		return wire.NodeReportData(nonce, id)
	}
	return wire.SealedReportData(nonce, *sealTo, id)
}

func (a *attempt) quoteOver(t *testing.T, reportData [64]byte) {
	t.Helper()
	quote, err := a.node.Quote(reportData)
	require.NoError(t, err)
	a.quote = quote
	a.sign()
}

func (a *attempt) sign() {
	public := a.node.Key.Public().(ed25519.PublicKey)
	a.request = wire.KeyRequest{ChallengeID: a.challenge.ChallengeID, PeerID: string(a.id), QuoteB64: b64(a.quote),
		PeerPublicKeyB64: b64(wire.MarshalPublicKey(public)), SignatureB64: b64(signed(a, a.payload()))}
	if a.sealTo != nil {
		a.request.SealToB64 = b64(a.sealTo[:])
	}
}

func signed(a *attempt, payload []byte) []byte { return ed25519.Sign(a.node.Key, payload) }

func (a *attempt) payload() []byte {
	return wire.SignedPayload(a.challenge.ChallengeID, a.nonce, a.id, a.quote, a.sealTo)
}

// ask sends the request and opens what comes back, which must be sealed.
func (a *attempt) ask(t *testing.T) string {
	t.Helper()
	var answer wire.KeyResponse
	said := answered(t, a.w.url+"/get-key", a.request, &answer)
	require.NotContains(t, said, `"key"`)
	return open(t, a.seal, transportOf(a.w), wire.Release{Nonce: a.nonce, PeerID: a.id}, answer)
}

func open(t *testing.T, seal *wire.SealingKey, transport wire.PublicKey, r wire.Release,
	answer wire.KeyResponse) string {
	t.Helper()
	seals, err := seal.SealedBy(transport, r)
	require.NoError(t, err)
	nonce, err := wire.Bytes(answer.SealNonceB64)
	require.NoError(t, err)
	sealed, err := wire.Bytes(answer.SealedKeyB64)
	require.NoError(t, err)
	digits, err := seals.Open(nonce, sealed)
	require.NoError(t, err)
	return string(digits)
}

// answered posts v, which must be granted, and returns the answer's text too.
func answered(t *testing.T, url string, v, answer any) string {
	t.Helper()
	body, err := json.Marshal(v)
	require.NoError(t, err)
	resp, err := http.Post(url, "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(data))
	require.NoError(t, json.Unmarshal(data, answer))
	return string(data)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func stranger(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}
