package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

const keySize = 32

// GetKey asks the key service at url for this node's key: 32 bytes, the same
// each time. A refusal is a *Refused. Verify the service first: see VerifyKMS.
func (a *Agent) GetKey(ctx context.Context, url string) ([]byte, error) {
	id := a.PeerID()
	var c wire.ChallengeResponse
	if err := a.post(ctx, url, "/challenge", wire.ChallengeRequest{PeerID: string(id)}, &c); err != nil {
		return nil, err
	}
	nonce, err := base64.StdEncoding.DecodeString(c.NonceB64)
	if err != nil || len(nonce) != 32 || !wire.IsChallengeID(c.ChallengeID) {
		return nil, errors.New("/challenge: the challenge is malformed")
	}
	request, err := a.keyRequest(id, c.ChallengeID, [32]byte(nonce))
	if err != nil {
		return nil, err
	}
	var answer wire.KeyResponse
	if err := a.post(ctx, url, "/get-key", request, &answer); err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(answer.Key)
	if err != nil || len(key) != keySize {
		return nil, errors.New("/get-key: the key is not 32 bytes of hex")
	}
	return key, nil
}

// keyRequest binds a quote of this TD to the challenge and to the peer ID, and signs both.
func (a *Agent) keyRequest(id wire.PeerID, challenge string, nonce [32]byte) (*wire.KeyRequest, error) {
	quote, err := a.Quote(wire.NodeReportData(nonce, id))
	if err != nil {
		return nil, err
	}
	signature := ed25519.Sign(a.Key, wire.SignedPayload(challenge, nonce, id, quote))
	return &wire.KeyRequest{
		ChallengeID: challenge, PeerID: string(id), QuoteB64: base64.StdEncoding.EncodeToString(quote),
		PeerPublicKeyB64: base64.StdEncoding.EncodeToString(wire.MarshalPublicKey(a.public())),
		SignatureB64:     base64.StdEncoding.EncodeToString(signature),
	}, nil
}
