// Package keyservice is a key service that does as it is told, for tests of
// those who talk to one.
//
// Its promise: its /attest is as true as the real one's, over a simulated TD;
// /get-key refuses what the real one would before it looks at a policy, a request
// for a clear key among it, and then answers what the test chose, sealed. It does
// not verify the node's quote, only what the quote is over.
package keyservice

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// Keys answers the n-th request of /get-key, counted from 1: a key in hex, or none and a refusal.
type Keys func(n int, peerID string) (key string, refused *wire.Error)

// Service is the http.Handler of one instance.
type Service struct {
	TD        *tdxsim.TD
	keys      Keys
	log       *tdxsim.EventLog
	transport *wire.SealingKey

	mu         sync.Mutex
	asked      []string
	challenges map[string]challenge // that were not used yet
}

// challenge is one that a peer was given.
type challenge struct {
	nonce [32]byte
	peer  string
}

// New boots an instance whose compose hash is measured as dstack does.
func New(platform *tdxsim.Platform, composeHash [32]byte, keys Keys) (*Service, error) {
	s := &Service{TD: platform.NewTD(tdx.Register{3}), keys: keys, challenges: map[string]challenge{},
		transport: wire.NewSealingKey()}
	s.log = tdxsim.NewEventLog(s.TD)
	for i := range 3 {
		if err := s.log.Measure(i, 6, []byte{byte(i)}); err != nil {
			return nil, err
		}
	}
	return s, s.log.Start(tdxsim.System{AppID: composeHash[:20], ComposeHash: composeHash[:],
		InstanceID: make([]byte, 20), OSImageHash: make([]byte, 32), KeyProvider: []byte(`{"name":"kms","id":"00"}`)})
}

// Asked lists the peer IDs that asked for a key, in order.
func (s *Service) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// ServeHTTP is the key service's interface, as far as a node uses it.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	post := map[string]func([]byte) (int, any){"/attest": s.attest, "/challenge": s.challenge,
		"/get-key": s.getKey}[r.URL.Path]
	status, body := 0, any(nil)
	switch {
	case r.URL.Path == "/health":
		status, body = http.StatusOK, wire.Health{Status: "alive", Service: wire.Service, PolicyReady: true}
	case post == nil:
		status, body = refuse(http.StatusNotFound, wire.NotFound, "no such path")
	case r.Method != http.MethodPost:
		status, body = refuse(http.StatusMethodNotAllowed, wire.MethodNotAllowed, r.Method)
	case r.Header.Get("Content-Type") != "application/json":
		status, body = refuse(http.StatusUnsupportedMediaType, wire.UnsupportedMediaType, "not application/json")
	default:
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxBody))
		if err != nil {
			status, body = refuse(http.StatusRequestEntityTooLarge, wire.InvalidRequest, err.Error())
			break
		}
		status, body = post(data)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(status int, tag, details string) (int, any) {
	return status, wire.Error{Error: tag, Details: details}
}

// bytes32 decodes 32 bytes of base64.
func bytes32(text string) (out [32]byte, ok bool) {
	b, err := wire.Bytes(text)
	if err != nil || len(b) != len(out) {
		return out, false
	}
	return [32]byte(b), true
}

func (s *Service) attest(data []byte) (int, any) {
	var q wire.AttestRequest
	if err := wire.Decode(data, &q); err != nil {
		return refuse(http.StatusBadRequest, wire.InvalidAttestation, err.Error())
	}
	nonce, fresh := bytes32(q.NonceB64)
	if !fresh {
		return refuse(http.StatusBadRequest, wire.InvalidAttestation, "nonceB64 is not 32 bytes")
	}
	answer := wire.AttestResponse{VMConfig: "{}"}
	binding, refused := s.binding(q, &answer)
	if refused != nil {
		return http.StatusBadRequest, *refused
	}
	reportData := wire.AttestReportData(nonce, binding)
	quote, err := s.TD.Quote(4, reportData)
	if err == nil {
		answer.EventLog, err = s.log.Dstack()
	}
	if err != nil {
		return refuse(http.StatusInternalServerError, wire.InternalError, err.Error())
	}
	answer.QuoteB64, answer.ReportDataHex = base64.StdEncoding.EncodeToString(quote), hex.EncodeToString(reportData[:])
	if q.EventLog {
		answer.EventLogB64 = base64.StdEncoding.EncodeToString(answer.EventLog)
	}
	return http.StatusOK, answer
}

// binding is what is quoted behind the nonce; a caller's own only together with the transport key.
func (s *Service) binding(q wire.AttestRequest, answer *wire.AttestResponse) ([32]byte, *wire.Error) {
	binding, bound := wire.DefaultBinding(), true
	if q.BindingB64 != "" {
		binding, bound = bytes32(q.BindingB64)
	}
	if !bound || (!q.TransportKey && binding != wire.DefaultBinding()) {
		return binding, &wire.Error{Error: wire.InvalidAttestation, Details: "bindingB64"}
	}
	if q.TransportKey {
		public := s.transport.Public()
		answer.TransportPublicKeyB64 = base64.StdEncoding.EncodeToString(public[:])
		binding = wire.AttestBinding(binding, public)
	}
	return binding, nil
}

func (s *Service) challenge(data []byte) (int, any) {
	var q wire.ChallengeRequest
	if err := wire.Decode(data, &q); err != nil {
		return refuse(http.StatusBadRequest, wire.InvalidRequest, err.Error())
	}
	if _, err := wire.ParsePeerID(q.PeerID); err != nil {
		return refuse(http.StatusBadRequest, wire.InvalidPeerID, err.Error())
	}
	var id [16]byte
	c := challenge{peer: q.PeerID}
	_, _ = rand.Read(id[:]) // never fails (Go 1.24)
	_, _ = rand.Read(c.nonce[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.challenges[hex.EncodeToString(id[:])] = c
	return http.StatusOK, wire.ChallengeResponse{ChallengeID: hex.EncodeToString(id[:]),
		NonceB64: base64.StdEncoding.EncodeToString(c.nonce[:])}
}

func (s *Service) getKey(data []byte) (int, any) {
	var q wire.KeyRequest
	if err := wire.Decode(data, &q); err != nil {
		return refuse(http.StatusBadRequest, wire.InvalidRequest, err.Error())
	}
	sealTo, named := bytes32(q.SealToB64)
	if !named {
		return refuse(http.StatusBadRequest, wire.InvalidAttestation, "sealToB64 is missing or not 32 bytes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, given := s.challenges[q.ChallengeID]
	delete(s.challenges, q.ChallengeID)
	if !given || c.peer != q.PeerID {
		return refuse(http.StatusUnauthorized, wire.InvalidChallenge, "unknown, used, or another's")
	}
	if status, refused := unproven(q, c.nonce, sealTo); refused != nil {
		return status, refused
	}
	seals, err := s.transport.SealTo(sealTo, wire.Release{Nonce: c.nonce, PeerID: wire.PeerID(q.PeerID)})
	if err != nil {
		return refuse(http.StatusBadRequest, wire.InvalidAttestation, err.Error())
	}
	s.asked = append(s.asked, q.PeerID)
	key, refused := s.keys(len(s.asked), q.PeerID)
	if refused != nil {
		return http.StatusForbidden, *refused
	}
	nonce, sealed := seals.Seal([]byte(key))
	return http.StatusOK, wire.KeyResponse{SealedKeyB64: base64.StdEncoding.EncodeToString(sealed),
		SealNonceB64: base64.StdEncoding.EncodeToString(nonce)}
}

// unproven refuses a request that the peer did not sign, or whose quote is over
// something else than the challenge, the key to seal to and the peer ID.
func unproven(q wire.KeyRequest, nonce [32]byte, sealTo wire.PublicKey) (int, any) {
	id, err := wire.ParsePeerID(q.PeerID)
	if err != nil {
		return refuse(http.StatusBadRequest, wire.InvalidPeerID, err.Error())
	}
	encoded, _ := wire.Bytes(q.PeerPublicKeyB64)
	key, err := wire.ParsePublicKey(encoded)
	if err != nil {
		return refuse(http.StatusBadRequest, wire.InvalidPeerPublicKey, err.Error())
	}
	if wire.PeerIDOf(key) != id {
		return refuse(http.StatusUnauthorized, wire.PeerIdentityMismatch, "the key is not the peer's")
	}
	quote, _ := wire.Bytes(q.QuoteB64)
	signature, _ := wire.Bytes(q.SignatureB64)
	if !ed25519.Verify(key, wire.SignedPayload(q.ChallengeID, nonce, id, quote, &sealTo), signature) {
		return refuse(http.StatusUnauthorized, wire.InvalidSignature, "the signature is not the peer's")
	}
	parsed, err := tdx.ParseQuote(quote)
	if err != nil || parsed.ReportData != wire.SealedReportData(nonce, sealTo, id) {
		return refuse(http.StatusUnauthorized, wire.AttestationFailed,
			"the quote is not over this challenge, this key to seal to and this peer")
	}
	return 0, nil
}

// Own gives each peer its own key, always the same: what a key service should do.
func Own(_ int, peerID string) (string, *wire.Error) { return Key(peerID), nil }

// Shared gives everybody the same key.
func Shared(int, string) (string, *wire.Error) { return Key("everybody"), nil }

// Changing gives another key each time.
func Changing(n int, _ string) (string, *wire.Error) { return Key(strconv.Itoa(n)), nil }

// Refusing refuses everybody, as a policy does.
func Refusing(int, string) (string, *wire.Error) {
	return "", &wire.Error{Error: wire.PolicyViolation, Details: "not you"}
}

// Fickle gives a key once.
func Fickle(n int, peerID string) (string, *wire.Error) {
	if n > 1 {
		return Refusing(n, peerID)
	}
	return Own(n, peerID)
}

// Key is 32 bytes of hex that depend on a name.
func Key(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}
