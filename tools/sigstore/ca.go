package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	fulcioca "github.com/sigstore/fulcio/pkg/ca"
	"github.com/sigstore/fulcio/pkg/ca/baseca"
)

// ca is Fulcio's certificate authority under a root that outlives the process.
type ca struct {
	baseca.BaseCA
	chain []*x509.Certificate
}

func newCA(s store) (*ca, error) {
	key, err := s.key("fulcio", newP256)
	if err != nil {
		return nil, err
	}
	chain, err := s.certificates("fulcio", func() ([]*x509.Certificate, error) {
		root, err := selfSigned("mero-tee rehearsal fulcio", key)
		return []*x509.Certificate{root}, err
	})
	if err != nil {
		return nil, err
	}
	if err := fulcioca.VerifyCertChain(chain, key); err != nil {
		return nil, err
	}
	c := &ca{chain: chain}
	c.SignerWithChain = &fulcioca.SignerCerts{Signer: key, Certs: chain}
	return c, nil
}

// subject names a rehearsal authority, so that no reader mistakes it for a real one.
func subject(name string) pkix.Name {
	return pkix.Name{Organization: []string{"mero-tee rehearsal"}, CommonName: name}
}

// selfSigned makes a root that signs leaves directly, valid for ten years from an hour ago (clocks differ).
func selfSigned(name string, key crypto.Signer) (*x509.Certificate, error) {
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: subject(name), NotBefore: from, NotAfter: from.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return issue(t, t, key.Public(), key)
}

func issue(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
