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
	request   wire.KeyRequest
}

func begin(t *testing.T, w *world, node *agent.Agent) *attempt {
	t.Helper()
	a := &attempt{w: w, node: node, id: node.PeerID()}
	resp, err := http.Post(w.url+"/challenge", "application/json", strings.NewReader(`{"peerId":"`+string(a.id)+`"}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&a.challenge))
	nonce, err := base64.StdEncoding.DecodeString(a.challenge.NonceB64)
	require.NoError(t, err)
	a.nonce = [32]byte(nonce)
	a.quoteOver(t, wire.NodeReportData(a.nonce, a.id))
	return a
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
		PeerPublicKeyB64: b64(wire.MarshalPublicKey(public)),
		SignatureB64:     b64(ed25519.Sign(a.node.Key, wire.SignedPayload(a.challenge.ChallengeID, a.nonce, a.id, a.quote)))}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func stranger(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}
