package tdxsim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
)

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
