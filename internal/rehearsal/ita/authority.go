package ita

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

const (
	rootCRLPath    = "/crl/root-ca-crl.der"
	signingCRLPath = "/crl/ats-ca-crl.der"
	keyBits        = 3072 // as Intel's
)

var (
	validFrom = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	validTo   = time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)
)

// Authority is the hierarchy behind the tokens: root, signing CA, token
// signing, each with an RSA key. The certificates follow from the keys.
type Authority struct {
	root, signing, token issued
}

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

// NewAuthority makes one that exists in memory only.
func NewAuthority() (*Authority, error) {
	keys, err := generate()
	if err != nil {
		return nil, err
	}
	return certify(keys)
}

// OpenAuthority reads the keys kept in the file at path, making them at first.
func OpenAuthority(path string) (*Authority, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if data, err = create(path); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	var keys [3]*rsa.PrivateKey
	for i := range keys {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, fmt.Errorf("%s holds %d keys, not %d", path, i, len(keys))
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var ok bool
		if keys[i], ok = key.(*rsa.PrivateKey); !ok {
			return nil, fmt.Errorf("%s: key %d is a %T", path, i, key)
		}
	}
	return certify(keys)
}

func create(path string) ([]byte, error) {
	keys, err := generate()
	if err != nil {
		return nil, err
	}
	var data []byte
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			return nil, err
		}
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	return data, file.Write(path, data, 0o600)
}

func generate() (keys [3]*rsa.PrivateKey, err error) {
	for i := range keys {
		if keys[i], err = rsa.GenerateKey(rand.Reader, keyBits); err != nil {
			return keys, err
		}
	}
	return keys, nil
}

// certify gives the same certificates for the same keys: PKCS #1 v1.5 signatures use no randomness.
func certify(keys [3]*rsa.PrivateKey) (*Authority, error) {
	var a Authority
	var err error
	if a.root, err = issue("Rehearsal Trust Authority Root CA", keys[0], issued{}, true, ""); err != nil {
		return nil, err
	}
	if a.signing, err = issue("Rehearsal Trust Authority ATS Signing CA", keys[1], a.root, true, rootCRLPath); err != nil {
		return nil, err
	}
	a.token, err = issue("Rehearsal Trust Authority Attestation Token Signing", keys[2], a.signing, false, signingCRLPath)
	return &a, err
}

// issue makes a certificate, self-signed when there is no parent; crl is the
// path of the list that may revoke it. Intel's connector tells them apart by
// "Root CA" and "Signing CA" in the common name.
func issue(name string, key *rsa.PrivateKey, parent issued, ca bool, crl string) (issued, error) {
	serial := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:16]),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"REHEARSAL (not Intel)"}, Country: []string{"ZZ"}},
		NotBefore:    validFrom, NotAfter: validTo, BasicConstraintsValid: true, IsCA: ca,
		KeyUsage: x509.KeyUsageDigitalSignature, SignatureAlgorithm: x509.SHA512WithRSA,
	}
	if ca {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	if parent.cert == nil {
		parent = issued{template, key}
	} else {
		template.CRLDistributionPoints = []string{issuer + crl}
	}
	der, err := x509.CreateCertificate(nil, template, parent.cert, &key.PublicKey, parent.key)
	if err != nil {
		return issued{}, fmt.Errorf("%s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	return issued{cert, key}, err
}

// RootSHA256 is what a client pins.
func (a *Authority) RootSHA256() [32]byte { return sha256.Sum256(a.root.cert.Raw) }

// kid is made as Intel makes it: SHA-384 of the certificate (seen in the JWKS of 2023).
func (a *Authority) kid() string {
	sum := sha512.Sum384(a.token.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// chain is the x5c of the signing key.
func (a *Authority) chain() []*x509.Certificate {
	return []*x509.Certificate{a.token.cert, a.signing.cert, a.root.cert}
}
