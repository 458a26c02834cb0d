package ita

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"errors"
	"net/http"
	"slices"
	"time"
)

// nonceLife bounds the time between a nonce and its use.
const nonceLife = 5 * time.Minute

// nonceTime is how the service writes iat.
const nonceTime = "2006-01-02 15:04:05 -0700 MST"

// verifierNonce is the service's nonce. The token signing key signs it, always
// with PS384, so that the service need not remember it.
type verifierNonce struct {
	Val       []byte `json:"val"`
	Iat       []byte `json:"iat"`
	Signature []byte `json:"signature"`
}

// bytes is what stands before runtime_data in REPORTDATA = SHA-512(val ‖ iat ‖ runtime_data).
func (n *verifierNonce) bytes() []byte {
	if n == nil {
		return nil
	}
	return slices.Concat(n.Val, n.Iat)
}

func (s *Service) serveNonce(w http.ResponseWriter, _ *http.Request) {
	n := &verifierNonce{Val: make([]byte, 40), Iat: []byte(s.Now().UTC().Format(nonceTime))}
	_, _ = rand.Read(n.Val) // never fails
	digest := sha512.Sum384(n.bytes())
	if s.current().WrongNonce {
		digest[0] ^= 1
	}
	var err error
	n.Signature, err = rsa.SignPSS(rand.Reader, s.Authority.token.key, crypto.SHA384, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, n)
}

// accept takes back a nonce of this service, while it lives.
func (s *Service) accept(n *verifierNonce) error {
	digest := sha512.Sum384(n.bytes())
	if err := rsa.VerifyPSS(&s.Authority.token.key.PublicKey, crypto.SHA384, digest[:], n.Signature, nil); err != nil {
		return errors.New("invalid nonce")
	}
	at, err := time.Parse(nonceTime, string(n.Iat))
	if age := s.Now().Sub(at); err != nil || age < -time.Second || age > nonceLife {
		return errors.New("nonce expired")
	}
	return nil
}
