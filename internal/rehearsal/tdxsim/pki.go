package tdxsim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
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

// oidSGX is Intel's extension of a PCK certificate.
var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

// identity is what a PCK certificate says about a machine.
type identity struct {
	fmspc  [6]byte
	pceSVN int
	svn    [16]byte // SGX TCB components, and CPUSVN
}

// newIdentity gives machine n a family whose hex has a letter (4d), so that
// upper and lower case differ.
func newIdentity(n uint8) identity {
	id := identity{fmspc: [6]byte{'S', 'I', 'M', 0, 0, n}, pceSVN: 13}
	for i := range id.svn {
		id.svn[i] = byte(20 - i)
	}
	return id
}

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value any
}

func under(arc ...int) asn1.ObjectIdentifier {
	return append(append(asn1.ObjectIdentifier{}, oidSGX...), arc...)
}

// extension is the value of oidSGX: PPID, TCB, PCEID, FMSPC, type, platform
// instance and configuration, as "Intel SGX PCK Certificate and CRL Profile" orders them.
func (id identity) extension() ([]byte, error) {
	var tcb []attribute
	for i, svn := range id.svn {
		tcb = append(tcb, attribute{under(2, i+1), int(svn)})
	}
	tcb = append(tcb, attribute{under(2, 17), id.pceSVN}, attribute{under(2, 18), id.svn[:]})
	const scalable = asn1.Enumerated(1)
	configuration := []attribute{{under(7, 1), true}, {under(7, 2), true}, {under(7, 3), true}}
	return asn1.Marshal([]attribute{
		{under(1), make([]byte, 16)},
		{under(2), tcb},
		{under(3), make([]byte, 2)},
		{under(4), id.fmspc[:]},
		{under(5), scalable},
		{under(6), make([]byte, 16)},
		{under(7), configuration},
	})
}

// derive gives n bytes that depend on the seed and the label alone.
func derive(seed []byte, label string, n int) ([]byte, error) {
	return hkdf.Key(sha256.New, seed, nil, "mero-tee tdx simulator/"+label, n)
}

// deriveKey tries again in the case, of odds 2^-32, that the bytes are no scalar of P-256.
func deriveKey(seed []byte, label string) (*ecdsa.PrivateKey, error) {
	for i := range 4 {
		b, err := derive(seed, fmt.Sprintf("key/%s/%d", label, i), 32)
		if err != nil {
			return nil, err
		}
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b); err == nil {
			return k, nil
		}
	}
	return nil, errors.New("no scalar for " + label)
}

// deterministic signs with the nonce of RFC 6979 whatever randomness it is offered.
type deterministic struct{ key *ecdsa.PrivateKey }

func (d deterministic) Public() crypto.PublicKey { return d.key.Public() }

func (d deterministic) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return d.key.Sign(nil, digest, o)
}

// sign makes Intel's form of an ECDSA signature, r ‖ s in 64 bytes.
func sign(key *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var s struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &s); err != nil {
		return nil, err
	}
	raw := make([]byte, 64)
	s.R.FillBytes(raw[:32])
	s.S.FillBytes(raw[32:])
	return raw, nil
}
