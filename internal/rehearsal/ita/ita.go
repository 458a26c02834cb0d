// Package ita is a local Intel Trust Authority: its API, its portal with the
// signing keys and revocation lists, under their production host names.
//
// Its promise: it gives a token only for a quote that it verified itself, and
// speaks the protocol so well that Intel's own connector accepts its tokens;
// and its root certificate says that it is a rehearsal's, so that nobody who
// believes Intel's root believes one.
package ita

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// The hosts of the API and of the portal, which issues the tokens.
const (
	apiHost    = "api.trustauthority.intel.com"
	portalHost = "portal.trustauthority.intel.com"
	issuer     = "https://" + portalHost
)

// Hosts are the names that one Service answers for.
func Hosts() []string { return []string{apiHost, portalHost} }

// Options of a Service. All are required.
type Options struct {
	Authority *Authority
	APIKey    string        // base64, as Intel's are
	Verifier  *tdx.Verifier // of the quotes to appraise
	Now       func() time.Time
}

// Service is the http.Handler of both hosts.
type Service struct {
	Options
	mux    *http.ServeMux
	mu     sync.Mutex
	faults Faults
	other  func() (*Authority, error)
}

// New makes a service without faults.
func New(o Options) *Service {
	s := &Service{Options: o, mux: http.NewServeMux(), other: sync.OnceValues(NewAuthority)}
	s.mux.HandleFunc("GET "+apiHost+"/appraisal/v2/nonce", accepting(jsonType, s.authorized(s.serveNonce)))
	s.mux.HandleFunc("POST "+apiHost+"/appraisal/v2/attest", accepting(jsonType, sending(s.authorized(s.serveAttest))))
	s.mux.HandleFunc("GET "+portalHost+"/certs", accepting(jsonType, s.serveKeys))
	s.mux.HandleFunc("GET "+portalHost+rootCRLPath, accepting(listType, s.serveRootCRL))
	s.mux.HandleFunc("GET "+portalHost+signingCRLPath, accepting(listType, s.serveSigningCRL))
	return s
}

const jsonType, listType = "application/json", "application/pkix-crl"

// accepting refuses a request for another media type than the one there is.
// Intel's connector asks for JSON with application/json alone and for a
// revocation list without an Accept; whether the service takes anything else is
// not known.
func accepting(mediaType string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Values("Accept")
		if none := len(got) == 0; (none && mediaType != listType) || len(got) > 1 || (!none && got[0] != mediaType) {
			refuse(w, http.StatusNotAcceptable, "not acceptable")
			return
		}
		next(w, r)
	}
}

// sending refuses a body that does not say it is JSON.
func sending(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != jsonType {
			refuse(w, http.StatusUnsupportedMediaType, "unsupported media type")
			return
		}
		next(w, r)
	}
}

// ServeHTTP answers for both hosts, by the request's Host.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("trace-id", uuid.NewString())
	w.Header().Set("request-id", r.Header.Get("request-id"))
	if status, after := s.fault(); status != 0 {
		if after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(after/time.Second)))
		}
		refuse(w, status, http.StatusText(status))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// authorized demands the API key, as both appraisal endpoints do. A key of another
// form is nobody's; one that is known may still lack the permission to attest.
func (s *Service) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("x-api-key")
		got, want := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(s.APIKey))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || !isBase64(key) {
			refuse(w, http.StatusUnauthorized, "unauthorized")
			return
		}
		if s.current().Forbidden {
			refuse(w, http.StatusForbidden, "forbidden")
			return
		}
		next(w, r)
	}
}

// isBase64 is the form in which Intel's clients demand a key, in either alphabet.
func isBase64(key string) bool {
	_, standard := base64.StdEncoding.DecodeString(key)
	_, url := base64.URLEncoding.DecodeString(key)
	return key != "" && (standard == nil || url == nil)
}

// signer is whose keys this moment's tokens are signed with.
func (s *Service) signer() (*Authority, error) {
	if s.current().OtherAuthority {
		return s.other()
	}
	return s.Authority, nil
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why}) // a client that left is no fault of the service
}

func reply(w http.ResponseWriter, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(data)
}

// Faults are those that the service shows; the zero value is none. A wrong API
// key needs none.
type Faults struct {
	Busy           int                  // this many next requests are answered 429
	Unavailable    int                  // then this many 503
	RetryAfter     time.Duration        // what both ask for, in whole seconds
	Claims         func(map[string]any) // changes the claims before they are signed
	Forbidden      bool                 // the key lacks the permission to attest
	Behind         bool                 // appraises by Intel's standard update, and not by a recovery of today
	Quote          []byte               // appraised in place of the one sent
	WrongNonce     bool                 // nonces carry the signature of another nonce
	OtherAuthority bool                 // all keys and certificates are those of another authority of the same names
	Revoked        bool                 // the signing key is on its issuer's list
	StaleLists     bool                 // the revocation lists have expired
}

// Change changes the faults, also while the service runs.
func (s *Service) Change(change func(*Faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.faults)
}

func (s *Service) current() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// fault takes one from the requests that are to fail; status 0 means none.
func (s *Service) fault() (status int, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.faults.Busy > 0:
		s.faults.Busy--
		return http.StatusTooManyRequests, s.faults.RetryAfter
	case s.faults.Unavailable > 0:
		s.faults.Unavailable--
		return http.StatusServiceUnavailable, s.faults.RetryAfter
	}
	return 0, 0
}

// serveKeys is the JWKS: the signing key once per algorithm, under one kid.
func (s *Service) serveKeys(w http.ResponseWriter, _ *http.Request) {
	a, err := s.signer()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	var set jose.JSONWebKeySet
	for _, algorithm := range []jose.SignatureAlgorithm{jose.PS384, jose.RS256} {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &a.token.key.PublicKey, KeyID: a.kid(), Algorithm: string(algorithm),
			Certificates: a.chain()})
	}
	reply(w, set)
}

func (s *Service) serveRootCRL(w http.ResponseWriter, _ *http.Request) {
	a, err := s.signer()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	s.serveCRL(w, a.root, nil)
}

func (s *Service) serveSigningCRL(w http.ResponseWriter, _ *http.Request) {
	a, err := s.signer()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	var revoked []x509.RevocationListEntry
	if s.current().Revoked {
		revoked = []x509.RevocationListEntry{{SerialNumber: a.token.cert.SerialNumber,
			RevocationTime: s.Now().Add(-time.Hour)}}
	}
	s.serveCRL(w, a.signing, revoked)
}

func (s *Service) serveCRL(w http.ResponseWriter, by issued, revoked []x509.RevocationListEntry) {
	from := s.Now().Add(-time.Hour)
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.Add(24 * time.Hour),
		RevokedCertificateEntries: revoked}
	if s.current().StaleLists {
		list.NextUpdate = from.Add(time.Minute)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, by.cert, by.key)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", listType)
	_, _ = w.Write(der)
}
