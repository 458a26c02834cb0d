package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// A key is sealed from one TD to the other, because TLS ends at whatever stands
// behind the service's URL. Both ends have an X25519 key: the service's transport
// key, the same for all instances of its application, is in the service's quote;
// the node's, made for one request, is in the node's quote and under its signature.
//
//	shared = X25519(transport, sealTo)
//	key    = HKDF-SHA256(salt = challenge's nonce, ikm = shared,
//	                     info = "mero-kms/sealed-key/v1" ‖ transport's public key ‖ sealTo ‖ peer ID)
//	sealed = AES-256-GCM(key, a random nonce, the released key in 64 hex digits, additional data = peer ID)
//
// The format and its vectors are merod's, of 0.11.0-rc.47 (read 2026-11).
const (
	attestDomain  = "mero-kms/attest-transport-key/v1"
	requestDomain = "mero-kms/sealed-get-key/v1"
	sealDomain    = "mero-kms/sealed-key/v1"
)

// TransportKeyPath is what dstack derives the transport key for: its first 32 bytes are the X25519 secret.
const TransportKeyPath = "mero-kms/transport/x25519/v1"

const (
	sealNonceSize = 12
	sealedSize    = 64 + 16 // hex digits and GCM's tag
)

// PublicKey is an X25519 public key as it stands on the wire and in a binding.
type PublicKey = [32]byte

// AttestBinding takes the binding's place in the REPORTDATA of a service that tells its transport key.
func AttestBinding(binding [32]byte, transport PublicKey) [32]byte {
	return sum(attestDomain, binding[:], transport[:])
}

// SealedReportData is the REPORTDATA of a node's quote that asks for a key sealed to sealTo.
func SealedReportData(nonce [32]byte, sealTo PublicKey, id PeerID) [64]byte {
	return join(nonce, requestBinding(sealTo, id))
}

func requestBinding(sealTo PublicKey, id PeerID) [32]byte {
	return sum(requestDomain, sealTo[:], []byte(id))
}

func sum(domain string, parts ...[]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(domain))
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

// SealingKey is one end's X25519 key.
type SealingKey struct{ secret *ecdh.PrivateKey }

// NewSealingKey makes a node's key for one request.
func NewSealingKey() *SealingKey {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails (Go 1.24)
	k, _ := NewTransportKey(secret[:])
	return k
}

// NewTransportKey is the service's key of what the platform derived: at least 32 bytes, of which the first 32 count.
func NewTransportKey(derived []byte) (*SealingKey, error) {
	if len(derived) < 32 {
		return nil, fmt.Errorf("transport key: %d bytes, fewer than 32", len(derived))
	}
	secret, err := ecdh.X25519().NewPrivateKey(derived[:32])
	if err != nil {
		return nil, fmt.Errorf("transport key: %w", err)
	}
	return &SealingKey{secret}, nil
}

// Public is what the other end is told.
func (k *SealingKey) Public() PublicKey { return PublicKey(k.secret.PublicKey().Bytes()) }

// Release is what a sealed key belongs to: a key sealed for one opens for no other.
type Release struct {
	Nonce  [32]byte // of the challenge
	PeerID PeerID
}

// Seals is one release's cipher, of either end.
type Seals struct {
	aead   cipher.AEAD
	peerID PeerID
}

// ErrLowOrder is said of a public key that gives a secret which anybody can compute.
var ErrLowOrder = errors.New("the X25519 key is a point of low order")

// SealTo is the service's end towards a node's key; k is the transport key. Its only error is ErrLowOrder.
func (k *SealingKey) SealTo(sealTo PublicKey, r Release) (*Seals, error) {
	return k.seals(sealTo, k.Public(), sealTo, r)
}

// SealedBy is the node's end towards the transport key of the service that proved itself; k is the node's key. Its
// only error is ErrLowOrder.
func (k *SealingKey) SealedBy(transport PublicKey, r Release) (*Seals, error) {
	return k.seals(transport, transport, k.Public(), r)
}

func (k *SealingKey) seals(other, transport, sealTo PublicKey, r Release) (*Seals, error) {
	public, err := ecdh.X25519().NewPublicKey(other[:])
	if err != nil {
		return nil, err // 32 bytes are always one
	}
	shared, err := k.secret.ECDH(public)
	if err != nil { // X25519 refuses an all-zero secret alone (RFC 7748, section 6.1)
		return nil, ErrLowOrder
	}
	defer clear(shared)
	info := sealDomain + string(transport[:]) + string(sealTo[:]) + string(r.PeerID)
	key, err := hkdf.Key(sha256.New, shared, r.Nonce[:], info, 32)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Seals{aead: aead, peerID: r.PeerID}, err
}

// Seal encrypts the key's hex digits under a nonce of its own.
func (s *Seals) Seal(hexDigits []byte) (nonce, sealed []byte) {
	nonce = make([]byte, sealNonceSize)
	_, _ = rand.Read(nonce) // never fails (Go 1.24)
	return nonce, s.sealWith(nonce, hexDigits)
}

func (s *Seals) sealWith(nonce, hexDigits []byte) []byte {
	return s.aead.Seal(nil, nonce, hexDigits, []byte(s.peerID))
}

// Open returns the key's hex digits. An error says that it was not sealed for this request by the service that proved
// itself, or was altered.
func (s *Seals) Open(nonce, sealed []byte) ([]byte, error) {
	if len(nonce) != sealNonceSize || len(sealed) != sealedSize {
		return nil, fmt.Errorf("the sealed key has a nonce of %d bytes and %d bytes, not %d and %d", len(nonce), len(sealed),
			sealNonceSize, sealedSize)
	}
	hexDigits, err := s.aead.Open(nil, nonce, sealed, []byte(s.peerID))
	if err != nil {
		return nil, errors.New("the sealed key does not open: it was not sealed for this request by the service that " +
			"proved itself")
	}
	return hexDigits, nil
}
