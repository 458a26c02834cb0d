package ita

import (
	"net/http"
	"time"
)

// Knobs are the faults that the service shows; the zero value is none. A wrong
// API key needs no knob.
type Knobs struct {
	Busy        int                  // this many next requests are answered 429
	Unavailable int                  // then this many 503
	RetryAfter  time.Duration        // what both ask for, in whole seconds
	Claims      func(map[string]any) // changes the claims before they are signed
	Instead     []byte               // the quote that is appraised instead of the one sent
	WrongNonce  bool                 // nonces carry the signature of another nonce
	Stranger    bool                 // all keys and certificates are those of another authority of the same names
	Revoked     bool                 // the signing key is on its issuer's list
	StaleLists  bool                 // the revocation lists have expired
}

// Turn changes the knobs, also while the service runs.
func (s *Service) Turn(change func(*Knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.knobs)
}

func (s *Service) current() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs
}

// fault takes one from the requests that are to fail; status 0 means none.
func (s *Service) fault() (status int, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.knobs.Busy > 0:
		s.knobs.Busy--
		return http.StatusTooManyRequests, s.knobs.RetryAfter
	case s.knobs.Unavailable > 0:
		s.knobs.Unavailable--
		return http.StatusServiceUnavailable, s.knobs.RetryAfter
	}
	return 0, 0
}
