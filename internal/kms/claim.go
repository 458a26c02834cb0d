package kms

import (
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// claim is a key request whose form is right and whose content is unproven.
type claim struct {
	challenge        string
	id               wire.PeerID
	key              ed25519.PublicKey
	quote, signature []byte
	nonce            [32]byte // of the challenge, once consumed
}

func parseClaim(id wire.PeerID, req wire.KeyRequest) (*claim, error) {
	c := &claim{challenge: req.ChallengeID, id: id}
	var err error
	if c.quote, err = base64.StdEncoding.Strict().DecodeString(req.QuoteB64); err != nil {
		return nil, refuse(http.StatusBadRequest, wire.InvalidRequest, "quoteB64 is not base64")
	}
	encoded, err := base64.StdEncoding.Strict().DecodeString(req.PeerPublicKeyB64)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, wire.InvalidPeerPublicKey, "peerPublicKeyB64 is not base64")
	}
	if c.key, err = wire.ParsePublicKey(encoded); err != nil {
		return nil, refuse(http.StatusBadRequest, wire.InvalidPeerPublicKey, "%v", err)
	}
	if c.signature, err = base64.StdEncoding.Strict().DecodeString(req.SignatureB64); err != nil {
		return nil, refuse(http.StatusUnauthorized, wire.InvalidSignature, "signatureB64 is not base64")
	}
	return c, nil
}

func (c *claim) checkSignature() error {
	if wire.PeerIDOf(c.key) != c.id {
		return refuse(http.StatusUnauthorized, wire.PeerIdentityMismatch, "the public key is not that of the peer ID")
	}
	if !ed25519.Verify(c.key, wire.SignedPayload(c.challenge, c.nonce, c.id, c.quote), c.signature) {
		return refuse(http.StatusUnauthorized, wire.InvalidSignature, "the signature is not the peer's over this challenge and quote")
	}
	return nil
}

// mismatch says which half of REPORTDATA is not this request's.
func (c *claim) mismatch(err error) error {
	q, parseErr := tdx.ParseQuote(c.quote)
	if parseErr == nil && subtle.ConstantTimeCompare(q.ReportData[:32], c.nonce[:]) == 1 {
		return refuse(http.StatusUnauthorized, wire.PeerIDMismatch, "the quote is bound to another peer ID").because(err)
	}
	return refuse(http.StatusUnauthorized, wire.InvalidChallenge, "the quote does not hold this challenge's nonce").because(err)
}
