package tdxsim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// rootCRLURL is the CRL distribution point in every certificate of the simulator.
const rootCRLURL = "https://" + certificatesHost + rootCRLPath

var (
	validFrom = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	validTo   = time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)
)

// PKI is the simulated hierarchy: root, platform CA, and the signer of collateral.
type PKI struct {
	seed                  []byte
	root, platformCA, tcb authority
}

// authority is a certificate with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// NewPKI derives the whole hierarchy from a seed of any length.
func NewPKI(seed []byte) (*PKI, error) {
	p := &PKI{seed: bytes.Clone(seed)}
	var err error
	if p.root, err = p.issue("Intel SGX Root CA", "root", authority{}, true); err != nil {
		return nil, err
	}
	if p.platformCA, err = p.issue("Intel SGX PCK Platform CA", "platform-ca", p.root, true); err != nil {
		return nil, err
	}
	p.tcb, err = p.issue("Intel SGX TCB Signing", "tcb-signing", p.root, false)
	return p, err
}

// Root is the root certificate.
func (p *PKI) Root() *x509.Certificate { return p.root.cert }

// RootSHA256 is what a verifier pins.
func (p *PKI) RootSHA256() [32]byte { return sha256.Sum256(p.root.cert.Raw) }

// subject keeps Intel's common name, by which verifiers tell the certificates
// apart, and says in all the rest whose it is.
func subject(commonName string) pkix.Name {
	return pkix.Name{
		CommonName: commonName, Organization: []string{"TDX SIMULATOR (not Intel)"},
		Locality: []string{"TDX SIMULATOR (not Intel)"}, Country: []string{"ZZ"},
	}
}

// issue makes a certificate, self-signed when there is no parent.
func (p *PKI) issue(commonName, label string, parent authority, ca bool, extra ...pkix.Extension) (authority, error) {
	key, err := deriveKey(p.seed, label)
	if err != nil {
		return authority{}, err
	}
	template, err := p.template(commonName, label, key)
	if err != nil {
		return authority{}, err
	}
	template.ExtraExtensions = extra
	if template.IsCA = ca; ca {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	if parent.cert == nil {
		parent = authority{template, key}
	}
	der, err := x509.CreateCertificate(nil, template, parent.cert, &key.PublicKey, deterministic{parent.key})
	if err != nil {
		return authority{}, fmt.Errorf("%s: %w", label, err)
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert, key}, err
}

func (p *PKI) template(commonName, label string, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := derive(p.seed, "serial/"+label, 19)
	if err != nil {
		return nil, err
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(public)
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: subject(commonName),
		NotBefore: validFrom, NotAfter: validTo,
		BasicConstraintsValid: true, SubjectKeyId: id[:20],
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		CRLDistributionPoints: []string{rootCRLURL},
		SignatureAlgorithm:    x509.ECDSAWithSHA256,
	}, nil
}

// crl is a revocation list in DER.
func (p *PKI) crl(issuer authority, from, to time.Time, revoked []*x509.Certificate) ([]byte, error) {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: to}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: from})
	}
	return x509.CreateRevocationList(nil, list, issuer.cert, deterministic{issuer.key})
}
