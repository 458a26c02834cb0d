package tdx

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/go-tdx-guest/abi"
)

const (
	headerSize    = 48
	signatureSize = 64
)

// split finds what the attestation key signs and what certifies that key.
func (e *evidence) split() (signed, signature, certification []byte, ok bool) {
	n := headerSize + 584
	if e.quote.Version == 5 {
		if len(e.raw) < headerSize+6 {
			return nil, nil, nil, false
		}
		n = headerSize + 6 + int(binary.LittleEndian.Uint32(e.raw[headerSize+2:]))
	}
	if n < 0 || len(e.raw) < n+4+signatureSize {
		return nil, nil, nil, false
	}
	end := n + 4 + int(binary.LittleEndian.Uint32(e.raw[n:]))
	if end < n+4+signatureSize || len(e.raw) < end {
		return nil, nil, nil, false
	}
	return e.raw[:n], e.raw[n+4 : n+4+signatureSize], e.raw[n+4+signatureSize : end], true
}

// platformKey is a digest of all of the quote that its verdict depends on, but
// for the TD's registers and report data: each field of fixed size, the last one not.
func (e *evidence) platformKey() ([32]byte, bool) {
	signed, _, certification, ok := e.split()
	if !ok {
		return [32]byte{}, false
	}
	h, q := sha256.New(), &e.quote
	for _, field := range [][]byte{signed[:headerSize], q.TEETCBSVN[:], q.MRSEAM[:], q.MRSIGNERSEAM[:], q.SEAMAttributes[:], certification} {
		h.Write(field)
	}
	return [32]byte(h.Sum(nil)), true
}

// signedByItsKey checks the quote's signature by the attestation key it carries,
// which the platform's enclave report binds.
func (e *evidence) signedByItsKey() bool {
	signed, signature, certification, ok := e.split()
	if !ok || len(certification) < signatureSize {
		return false
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, certification[:64]...))
	if err != nil {
		return false
	}
	der, err := abi.SignatureToDER(signature)
	digest := sha256.Sum256(signed)
	return err == nil && ecdsa.VerifyASN1(key, digest[:], der)
}
