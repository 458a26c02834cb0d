package storage

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

const (
	keyBits    = 2048 // Google's have 4096, which take this machine seconds to make
	signerDays = 5*365 + 1
)

var (
	rootFrom = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	rootTo   = time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)
	released = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC) // when the local firmware was signed
)

// Authority signs endorsements: a root, and signers directly under it.
type Authority struct {
	root   *x509.Certificate
	key    *rsa.PrivateKey
	signer *rsa.PrivateKey
}

// NewAuthority makes one that exists in memory only.
func NewAuthority() (*Authority, error) {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, keyBits); err != nil {
			return nil, err
		}
	}
	template := certificate("Rehearsal GCE-cc-tcb-root", 1)
	template.NotBefore, template.NotAfter = rootFrom, rootTo
	template.IsCA, template.MaxPathLenZero = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &keys[0].PublicKey, keys[0])
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	return &Authority{root: root, key: keys[0], signer: keys[1]}, err
}

// OpenAuthority reads the one kept in the file at path, making it at first. A
// signature by PSS is another one each time, so the root's certificate is kept too.
func OpenAuthority(path string) (*Authority, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, err
	}
	a := &Authority{}
	for _, read := range []func([]byte) (err error){
		func(der []byte) (err error) { a.root, err = x509.ParseCertificate(der); return err },
		func(der []byte) (err error) { a.key, err = x509.ParsePKCS1PrivateKey(der); return err },
		func(der []byte) (err error) { a.signer, err = x509.ParsePKCS1PrivateKey(der); return err },
	} {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, fmt.Errorf("%s does not hold a root and two keys", path)
		}
		if err := read(block.Bytes); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return a, nil
}

func create(path string) (*Authority, error) {
	a, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
	for _, k := range []*rsa.PrivateKey{a.key, a.signer} {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})...)
	}
	return a, file.Write(path, data, 0o600)
}

func certificate(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial),
		Subject: pkix.Name{CommonName: name, Organization: []string{"REHEARSAL (not Google)"}, Country: []string{"ZZ"},
			SerialNumber: fmt.Sprint(serial)},
		SignatureAlgorithm: x509.SHA256WithRSAPSS, BasicConstraintsValid: true}
}

// RootSHA256 is what a verifier pins.
func (a *Authority) RootSHA256() [32]byte { return sha256.Sum256(a.root.Raw) }

// Statement is what is to be signed of a firmware. The zero value of a field is
// what Google would say there.
type Statement struct {
	MRTDs      []tdx.Register // with different machines; often but one
	Signed     time.Time
	From, To   time.Time // of the signer's certificate
	Usage      x509.KeyUsage
	Commit     []byte
	NoOrigin   bool   // neither commit nor changelist
	Bundle     []byte // the certificates beside the signer's; nil: the root, in PEM
	Additional []byte // fields after all others of the signed statement
}

// Endorse signs a statement, as Google's endorse command does.
func (a *Authority) Endorse(s Statement) ([]byte, error) {
	s = s.completed(a)
	template := certificate("Rehearsal GCE-uefi-signer", 2)
	template.NotBefore, template.NotAfter, template.KeyUsage = s.From, s.To, s.Usage
	cert, err := x509.CreateCertificate(rand.Reader, template, a.root, &a.signer.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	golden := s.golden(cert)
	digest := sha256.Sum256(golden)
	signature, err := rsa.SignPSS(rand.Reader, a.signer, crypto.SHA256, digest[:],
		&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		return nil, err
	}
	return appendBytes(appendBytes(nil, 1, golden), 2, signature), nil
}

func (s Statement) completed(a *Authority) Statement {
	if s.Signed.IsZero() {
		s.Signed = released
	}
	if s.From.IsZero() {
		s.From = rootFrom
	}
	if s.To.IsZero() {
		s.To = s.From.AddDate(0, 0, signerDays)
	}
	if s.Usage == 0 {
		s.Usage = x509.KeyUsageDigitalSignature
	}
	if s.Commit == nil && !s.NoOrigin {
		s.Commit = []byte("rehearsal")
	}
	if s.Bundle == nil {
		s.Bundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
	}
	return s
}

// golden is a VMGoldenMeasurement. The digest is of what stands for the firmware's file.
func (s Statement) golden(cert []byte) []byte {
	signed := appendNumber(nil, 1, uint64(s.Signed.Unix())) //nolint:gosec // after 1970
	firmware := sha512.Sum384([]byte("the file of the rehearsal's firmware"))
	machines := appendNumber(nil, 1, 2) // the security version number
	for _, mrtd := range s.MRTDs {
		machines = appendBytes(machines, 2, appendBytes(nil, 3, mrtd[:]))
	}
	out := appendBytes(nil, 1, signed)
	if len(s.Commit) > 0 {
		out = appendBytes(out, 3, s.Commit)
	}
	for _, f := range []struct {
		number protowire.Number
		value  []byte
	}{{4, cert}, {5, firmware[:]}, {6, s.Bundle}, {8, machines}} {
		out = appendBytes(out, f.number, f.value)
	}
	return append(out, s.Additional...)
}

func appendBytes(to []byte, n protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, n, protowire.BytesType), value)
}

func appendNumber(to []byte, n protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, n, protowire.VarintType), value)
}
