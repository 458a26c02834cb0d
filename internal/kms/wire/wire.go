// Package wire is what merod and the key service say to each other.
//
// Its promise: both ends build REPORTDATA, the signed payload and every JSON
// body here, so they cannot drift apart, and a peer ID that was parsed has
// exactly one spelling and names exactly one Ed25519 key, so whoever proves that
// key proves the ID. Fields are camelCase, bytes are padded standard base64
// unless a name says Hex.
package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// Service is what /health calls the service; merod's tools look for it.
const Service = "mero-kms-phala"

// MaxBody bounds a request's body, in bytes.
const MaxBody = 64 << 10

// AttestRequest is the body of POST /attest; nonce and binding are 32 bytes.
type AttestRequest struct {
	NonceB64     string `json:"nonceB64"`
	BindingB64   string `json:"bindingB64,omitempty"`   // DefaultBinding when absent; another needs TransportKey
	TransportKey bool   `json:"transportKey,omitempty"` // the quote is to hold the transport key
	EventLog     bool   `json:"eventLog,omitempty"`     // the answer is to have EventLogB64
}

// AttestResponse answers POST /attest.
type AttestResponse struct {
	QuoteB64              string          `json:"quoteB64"`
	ReportDataHex         string          `json:"reportDataHex"`                   // 64 bytes
	TransportPublicKeyB64 string          `json:"transportPublicKeyB64,omitempty"` // 32 bytes, when it was asked for
	EventLog              json.RawMessage `json:"eventLog"`                        // dstack's array of events
	EventLogB64           string          `json:"eventLogB64,omitempty"`           // its bytes, when they were asked for
	VMConfig              string          `json:"vmConfig"`
}

// ChallengeRequest is the body of POST /challenge.
type ChallengeRequest struct {
	PeerID string `json:"peerId"`
}

// ChallengeResponse answers POST /challenge.
type ChallengeResponse struct {
	ChallengeID string `json:"challengeId"` // 32 hex digits
	NonceB64    string `json:"nonceB64"`    // 32 bytes
	ExpiresAt   int64  `json:"expiresAt"`   // seconds since 1970
}

// KeyRequest is the body of POST /get-key.
type KeyRequest struct {
	ChallengeID      string `json:"challengeId"`
	QuoteB64         string `json:"quoteB64"`
	PeerID           string `json:"peerId"`
	PeerPublicKeyB64 string `json:"peerPublicKeyB64"` // libp2p's protobuf
	SignatureB64     string `json:"signatureB64"`     // Ed25519 over SignedPayload
	SealToB64        string `json:"sealToB64,omitempty"`
}

// KeyResponse answers POST /get-key: sealed, or in the clear.
type KeyResponse struct {
	SealedKeyB64 string `json:"sealedKeyB64,omitempty"` // see Seals
	SealNonceB64 string `json:"sealNonceB64,omitempty"` // 12 bytes
	Key          string `json:"key,omitempty"`          // 64 hex digits
}

// Health answers GET /health, always with 200.
type Health struct {
	Status         string `json:"status"` // "alive"
	Service        string `json:"service"`
	Version        string `json:"version"`
	Profile        string `json:"profile"`
	PolicyReady    bool   `json:"policyReady"`            // keys may be released
	PolicyReason   string `json:"policyReason,omitempty"` // why not, or why with a warning
	PolicyURL      string `json:"policyUrl"`
	PolicySHA256   string `json:"policySha256,omitempty"`
	PolicySignedBy string `json:"policySignedBy,omitempty"` // SAN; empty when no signature is asked for
	PolicyTrust    string `json:"policyTrust,omitempty"`    // the trusted root that the signature is verified under
	TDXRootSHA256  string `json:"tdxRootSha256"`
	Warning        string `json:"warning,omitempty"` // what of the configuration lowers the guard
}

// Error is the body of every answer but 200.
type Error struct {
	Error   string `json:"error"`
	Details string `json:"details,omitempty"`
}

// The tags of Error.
const (
	InvalidRequest          = "invalid_request"                 // 400, 413
	InvalidPeerID           = "invalid_peer_id"                 // 400
	InvalidAttestation      = "invalid_attestation_request"     // 400: also a key to seal to that is missing or none
	InvalidPeerPublicKey    = "invalid_peer_public_key"         // 400
	InvalidChallenge        = "invalid_challenge"               // 401: unknown, expired, used, or another's
	InvalidSignature        = "invalid_signature"               // 401
	PeerIdentityMismatch    = "peer_identity_mismatch"          // 401: the public key is not the peer ID's
	PeerIDMismatch          = "peer_id_mismatch"                // 401: the quote is bound to another peer ID or seal key
	AttestationFailed       = "attestation_verification_failed" // 401: the quote is not genuine
	PolicyViolation         = "policy_violation"                // 403: genuine, but not allowed
	NotFound                = "not_found"                       // 404
	MethodNotAllowed        = "method_not_allowed"              // 405
	UnsupportedMediaType    = "unsupported_media_type"          // 415: the body is not application/json
	RateLimited             = "rate_limited"                    // 429, with Retry-After
	KeyDerivationFailed     = "key_derivation_failed"           // 500
	InternalError           = "internal_error"                  // 500
	PolicyNotReady          = "policy_not_ready"                // 503
	VerificationUnavailable = "verification_unavailable"        // 503: Intel's collateral could not be had or believed
	ChallengesUnavailable   = "challenges_unavailable"          // 503: the store of challenges does not answer
)

// DefaultBinding is SHA256("mero-kms-phala-attest-v1"): the second half of the
// service's REPORTDATA when the caller names no binding of its own.
func DefaultBinding() [32]byte { return sha256.Sum256([]byte("mero-kms-phala-attest-v1")) }

// AttestReportData is the REPORTDATA of the service's quote: nonce ‖ binding.
func AttestReportData(nonce, binding [32]byte) [64]byte { return join(nonce, binding) }

// NodeReportData is the REPORTDATA of a node's quote that asks for no sealed key: nonce ‖ SHA256(peer ID's text).
func NodeReportData(nonce [32]byte, id PeerID) [64]byte {
	return join(nonce, sha256.Sum256([]byte(id)))
}

func join(a, b [32]byte) [64]byte { return [64]byte(append(a[:], b[:]...)) }

// Bytes reads padded standard base64 in its one spelling: Go's decoder would pass over line ends.
func Bytes(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("base64 with a line end")
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

var challengeForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// IsChallengeID says whether s has the shape of a challenge's ID.
func IsChallengeID(s string) bool { return challengeForm.MatchString(s) }

// SignedPayload is what the peer's key signs: compact JSON with sorted keys. It
// covers the key to seal to, nil when the request names none: who adds, swaps or
// takes away one breaks the signature.
func SignedPayload(challengeID string, nonce [32]byte, id PeerID, quote []byte, sealTo *PublicKey) []byte {
	p := newPayload(challengeID, nonce, id, quote)
	if sealTo != nil {
		p.SealToHex = hex.EncodeToString(sealTo[:])
	}
	return p.marshal()
}

// SignedPayloads are what a service takes a signature over. For a sealed request
// there are two, which cover the same: how merod spells the key to seal to there
// could not be read (2026-11), in hex as the payload's other values, or as the
// request does.
func SignedPayloads(challengeID string, nonce [32]byte, id PeerID, quote []byte, sealTo *PublicKey) [][]byte {
	out := [][]byte{SignedPayload(challengeID, nonce, id, quote, sealTo)}
	if sealTo == nil {
		return out
	}
	p := newPayload(challengeID, nonce, id, quote)
	p.SealToB64 = base64.StdEncoding.EncodeToString(sealTo[:])
	return append(out, p.marshal())
}

type payload struct {
	ChallengeID       string `json:"challengeId"`
	ChallengeNonceHex string `json:"challengeNonceHex"`
	PeerID            string `json:"peerId"`
	QuoteHashHex      string `json:"quoteHashHex"`
	SealToB64         string `json:"sealToB64,omitempty"`
	SealToHex         string `json:"sealToHex,omitempty"`
}

func newPayload(challengeID string, nonce [32]byte, id PeerID, quote []byte) payload {
	digest := sha256.Sum256(quote)
	return payload{ChallengeID: challengeID, ChallengeNonceHex: hex.EncodeToString(nonce[:]), PeerID: string(id),
		QuoteHashHex: hex.EncodeToString(digest[:])}
}

func (p payload) marshal() []byte {
	data, _ := json.Marshal(p) // a struct of strings always marshals
	return data
}
