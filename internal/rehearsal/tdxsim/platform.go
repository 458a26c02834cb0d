// Package tdxsim is a TDX platform in software: a certificate hierarchy shaped
// like Intel's, machines with quoting enclaves, TDs whose registers only move by
// extension, quotes of version 4 and 5, and Intel's provisioning certification
// service as an http.Handler with faults to turn on.
//
// Its promise: a verifier that pins the simulator's root sees everything it
// would see of real hardware, byte layouts included; one that pins Intel's
// refuses all of it; and every certificate says that it comes from a simulator.
// It shares no parser with the verifier, and the same seed gives the same bytes.
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
	"slices"

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

// Option is how a platform differs from what is current.
type Option int

// Module10 is a TDX 1.0 module, which has no status of its own.
const Module10 Option = 1

// NewPlatform makes machine n, 0 to 255, each of a platform family of its own, with a TDX 1.5 module.
func (p *PKI) NewPlatform(n uint8, options ...Option) (*Platform, error) {
	m := &Platform{pki: p, id: newIdentity(n), module: module{
		TEETCBSVN: [16]byte{5, 1, 2}, MRSEAM: sha512.Sum384([]byte("simulated TDX module"))}}
	if slices.Contains(options, Module10) {
		m.module.TEETCBSVN = [16]byte{5, 0, 2}
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

// intelQE is the vendor id of Intel's quoting enclave in a quote's header.
var intelQE = []byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

func le16(v int) []byte    { return binary.LittleEndian.AppendUint16(nil, uint16(v)) } //nolint:gosec // a length
func le32(v int) []byte    { return binary.LittleEndian.AppendUint32(nil, uint32(v)) } //nolint:gosec // a length
func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// join writes fields one after the other.
func join(fields ...[]byte) []byte { return bytes.Join(fields, nil) }

// Quote signs the TD's registers and reportData in format 4, or in format 5
// with the body of TDX 1.5.
func (t *TD) Quote(version int, reportData [64]byte) ([]byte, error) {
	body := t.report(reportData)
	switch version {
	case 4:
	case 5:
		const tdx15, secondSVN, mrServiceTD = 3, 16, 48
		body = join(le16(tdx15), le32(len(body)+secondSVN+mrServiceTD), body, t.platform.module.TEETCBSVN[:],
			make([]byte, mrServiceTD))
	default:
		return nil, fmt.Errorf("quote version %d is not 4 or 5", version)
	}
	const ecdsaP256, teeTDX = 2, 0x81
	header := join(le16(version), le16(ecdsaP256), le32(teeTDX), make([]byte, 4), intelQE, make([]byte, 20))
	return t.platform.certify(join(header, body))
}

// report is the 584-byte TD report body of TDX 1.0.
func (t *TD) report(reportData [64]byte) []byte {
	m, r := t.platform.module, t.Registers()
	noConfigNorOwner := make([]byte, 3*48)
	return join(m.TEETCBSVN[:], m.MRSEAM[:], m.MRSIGNER[:], m.Attributes[:], le64(t.attributes), le64(xfam),
		r.MRTD[:], noConfigNorOwner, r.RTMR0[:], r.RTMR1[:], r.RTMR2[:], r.RTMR3[:], reportData[:])
}

// certify signs with the attestation key, and that key with the PCK.
func (m *Platform) certify(message []byte) ([]byte, error) {
	public, err := m.attestation.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	attestationKey := public[1:] // without the byte that says "uncompressed"
	signature, err := sign(m.attestation, message)
	if err != nil {
		return nil, err
	}
	qe := m.qeReport(attestationKey)
	qeSignature, err := sign(m.pck.key, qe)
	if err != nil {
		return nil, err
	}
	const pckChain, qeReport = 5, 6
	chain := m.chain()
	certification := join(qe, qeSignature, le16(len(qeAuthData)), qeAuthData[:], le16(pckChain), le32(len(chain)), chain)
	auth := join(signature, attestationKey, le16(qeReport), le32(len(certification)), certification)
	return join(message, le32(len(auth)), auth), nil
}
