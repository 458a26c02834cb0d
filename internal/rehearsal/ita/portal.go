package ita

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// serveKeys is the JWKS: the signing key once per algorithm, under one kid.
func (s *Service) serveKeys(w http.ResponseWriter, _ *http.Request) {
	a, err := s.signer()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	var set jose.JSONWebKeySet
	for _, algorithm := range []jose.SignatureAlgorithm{jose.PS384, jose.RS256} {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &a.token.key.PublicKey, KeyID: a.kid(), Algorithm: string(algorithm), Certificates: a.chain()})
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
		revoked = []x509.RevocationListEntry{{SerialNumber: a.token.cert.SerialNumber, RevocationTime: s.Now().Add(-time.Hour)}}
	}
	s.serveCRL(w, a.signing, revoked)
}

func (s *Service) serveCRL(w http.ResponseWriter, by issued, revoked []x509.RevocationListEntry) {
	from := s.Now().Add(-time.Hour)
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.Add(24 * time.Hour), RevokedCertificateEntries: revoked}
	if s.current().StaleLists {
		list.NextUpdate = from.Add(time.Minute)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, by.cert, by.key)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/pkix-crl")
	_, _ = w.Write(der)
}
