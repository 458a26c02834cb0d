package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/mr-tron/base58"
)

// maxPeerID bounds a peer ID from outside, in characters; an Ed25519 one has 52.
const maxPeerID = 128

var (
	// keyPrefix is the protobuf of libp2p's PublicKey up to the key's bytes: field 1 (Type) = 1 (Ed25519),
	// field 2 (Data) of 32 bytes. The peer-ids specification demands this deterministic form.
	keyPrefix = []byte{0x08, 0x01, 0x12, ed25519.PublicKeySize}
	// hashPrefix is the identity multihash: "keys whose serialized length is at most 42 bytes" are not hashed.
	hashPrefix = []byte{0x00, byte(len(keyPrefix) + ed25519.PublicKeySize)}
)

// PeerID is a peer ID in base58btc, e.g. "12D3KooW…". Make one with ParsePeerID or PeerIDOf.
type PeerID string

// PeerIDOf is the peer ID of an Ed25519 public key of 32 bytes.
func PeerIDOf(key ed25519.PublicKey) PeerID {
	return PeerID(base58.Encode(append(bytes.Clone(hashPrefix), MarshalPublicKey(key)...)))
}

// ParsePeerID reads the peer ID of an Ed25519 key in its one canonical spelling.
func ParsePeerID(s string) (PeerID, error) {
	if len(s) == 0 || len(s) > maxPeerID {
		return "", fmt.Errorf("peer ID has %d characters, not 1 to %d", len(s), maxPeerID)
	}
	raw, err := base58.Decode(s)
	if err != nil {
		return "", fmt.Errorf("peer ID is not base58btc: %w", err)
	}
	encoded, ok := bytes.CutPrefix(raw, hashPrefix)
	if !ok {
		return "", errors.New("peer ID is not the identity multihash of an Ed25519 key")
	}
	key, err := ParsePublicKey(encoded)
	if err != nil {
		return "", err
	}
	if id := PeerIDOf(key); string(id) == s {
		return id, nil
	}
	return "", errors.New("peer ID is not in its canonical spelling")
}

// MarshalPublicKey is libp2p's protobuf of the key: 36 bytes.
func MarshalPublicKey(key ed25519.PublicKey) []byte { return append(bytes.Clone(keyPrefix), key...) }

// ParsePublicKey reads libp2p's protobuf of an Ed25519 key.
func ParsePublicKey(protobuf []byte) (ed25519.PublicKey, error) {
	key, ok := bytes.CutPrefix(protobuf, keyPrefix)
	if !ok || len(key) != ed25519.PublicKeySize {
		return nil, errors.New("public key is not libp2p's protobuf of an Ed25519 key")
	}
	if smallOrder(key) {
		return nil, errors.New("public key is a point of small order: anybody could sign for it")
	}
	return bytes.Clone(key), nil
}

// smallOrders are the encodings, without the sign's bit, of the points whose order divides 8, among them the two that
// are not reduced. Under such a key a signature without any private key verifies (RFC 8032 does not forbid them).
var smallOrders = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func smallOrder(key []byte) bool {
	unsigned := bytes.Clone(key)
	unsigned[len(unsigned)-1] &= 0x7f
	return slices.Contains(smallOrders, hex.EncodeToString(unsigned))
}
