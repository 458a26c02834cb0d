package tdxsim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// Platform is one simulated machine: its PCK certificate, quoting enclave and TDX module.
type Platform struct {
	pki         *PKI
	id          identity
	pck         authority
	attestation *ecdsa.PrivateKey
	module      module
}

// module is what a TD report says of the TDX module.
type module struct {
	TEETCBSVN  [16]byte // [0] SVN, [1] major version: 0 is TDX 1.0, 1 is TDX 1.5
	MRSEAM     tdx.Register
	MRSIGNER   tdx.Register
	Attributes [8]byte
}

// The quoting enclave is the same on every machine, as Intel's is.
const (
	qeProductID = 2
	qeSVN       = 4
)

var (
	qeSigner     = sha256.Sum256([]byte("simulated quoting enclave's signer"))
	qeMeasure    = sha256.Sum256([]byte("simulated quoting enclave"))
	qeAttributes = [16]byte{0: 0x11, 8: 0xe7}
	qeAuthData   = sha256.Sum256([]byte("simulated quoting enclave's authentication data"))
)

// Option changes a platform from what is current.
type Option func(*Platform)

// Module10 gives the platform a TDX 1.0 module, which has no status of its own.
func Module10(p *Platform) { p.module.TEETCBSVN = [16]byte{5, 0, 2} }

// NewPlatform makes machine n, 0 to 255, each of a platform family of its own, with a TDX 1.5 module.
func (p *PKI) NewPlatform(n uint8, options ...Option) (*Platform, error) {
	m := &Platform{pki: p, id: newIdentity(n), module: module{
		TEETCBSVN: [16]byte{5, 1, 2}, MRSEAM: sha512.Sum384([]byte("simulated TDX module"))}}
	for _, o := range options {
		o(m)
	}
	extension, err := m.id.extension()
	if err != nil {
		return nil, err
	}
	m.pck, err = p.issue("Intel SGX PCK Certificate", fmt.Sprintf("pck/%d", n), p.platformCA, false,
		pkix.Extension{Id: oidSGX, Value: extension})
	if err != nil {
		return nil, err
	}
	m.attestation, err = deriveKey(p.seed, fmt.Sprintf("attestation/%d", n))
	return m, err
}

// FMSPC is the platform family, 12 lower-case hex digits.
func (m *Platform) FMSPC() string { return hex.EncodeToString(m.id.fmspc[:]) }

// chain is the PCK certificate chain as a quote carries it.
func (m *Platform) chain() []byte {
	return bytes.Join([][]byte{m.pck.pem(), m.pki.platformCA.pem(), m.pki.root.pem()}, nil)
}

// qeReport is the enclave report that binds the attestation key.
func (m *Platform) qeReport(attestationKey []byte) []byte {
	r := make([]byte, 384)
	copy(r, m.id.svn[:])
	copy(r[48:], qeAttributes[:])
	copy(r[64:], qeMeasure[:])
	copy(r[128:], qeSigner[:])
	binary.LittleEndian.PutUint16(r[256:], qeProductID)
	binary.LittleEndian.PutUint16(r[258:], qeSVN)
	binding := sha256.Sum256(append(bytes.Clone(attestationKey), qeAuthData[:]...))
	copy(r[320:], binding[:])
	return r
}
