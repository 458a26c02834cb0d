// Package keyservice is a key service that does as it is told, for tests of
// those who talk to one.
//
// Its promise: its /attest is as true as the real one's, over a simulated TD;
// what /get-key answers is the test's choice, and never checked.
package keyservice

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// Keys answers the n-th request of /get-key, counted from 1: a key in hex, or none and a refusal.
type Keys func(n int, peerID string) (key string, refused *wire.Error)

// Service is the http.Handler of one instance.
type Service struct {
	TD   *tdxsim.TD
	keys Keys
	log  *tdxsim.EventLog

	mu    sync.Mutex
	asked []string
}

// New boots an instance whose compose hash is measured as dstack does.
func New(platform *tdxsim.Platform, composeHash [32]byte, keys Keys) (*Service, error) {
	s := &Service{TD: platform.NewTD(tdx.Register{3}), keys: keys}
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
	answer := map[string]func(*http.Request) (int, any){
		"/health": func(*http.Request) (int, any) { return http.StatusOK, wire.Health{PolicyReady: true} },
		"/attest": s.attest, "/challenge": challenge, "/get-key": s.getKey}[r.URL.Path]
	if answer == nil {
		http.NotFound(w, r)
		return
	}
	status, body := answer(r)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Service) attest(r *http.Request) (int, any) {
	var q wire.AttestRequest
	_ = json.NewDecoder(r.Body).Decode(&q)
	nonce, err := base64.StdEncoding.DecodeString(q.NonceB64)
	if err != nil || len(nonce) != 32 {
		return http.StatusBadRequest, wire.Error{Details: "nonce"}
	}
	quote, err := s.TD.Quote(4, wire.AttestReportData([32]byte(nonce), wire.DefaultBinding()))
	if err != nil {
		return http.StatusInternalServerError, wire.Error{Details: err.Error()}
	}
	log, err := s.log.Dstack()
	if err != nil {
		return http.StatusInternalServerError, wire.Error{Details: err.Error()}
	}
	return http.StatusOK, wire.AttestResponse{QuoteB64: base64.StdEncoding.EncodeToString(quote), EventLog: log,
		VMConfig: "{}"}
}

func challenge(*http.Request) (int, any) {
	return http.StatusOK, wire.ChallengeResponse{ChallengeID: strings.Repeat("0f", 16),
		NonceB64: base64.StdEncoding.EncodeToString(make([]byte, 32))}
}

func (s *Service) getKey(r *http.Request) (int, any) {
	var q wire.KeyRequest
	_ = json.NewDecoder(r.Body).Decode(&q)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q.PeerID)
	key, refused := s.keys(len(s.asked), q.PeerID)
	if refused != nil {
		return http.StatusForbidden, *refused
	}
	return http.StatusOK, wire.KeyResponse{Key: key}
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
