package tdxsim

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// intelQE is the vendor id of Intel's quoting enclave in a quote's header.
var intelQE = []byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

func le16(v int) []byte    { return binary.LittleEndian.AppendUint16(nil, uint16(v)) } //nolint:gosec // a length of ours
func le32(v int) []byte    { return binary.LittleEndian.AppendUint32(nil, uint32(v)) } //nolint:gosec // a length of ours
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
		body = join(le16(tdx15), le32(len(body)+secondSVN+mrServiceTD), body, t.platform.module.TEETCBSVN[:], make([]byte, mrServiceTD))
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
