package keyservice

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// Own gives each peer its own key, always the same: what a key service should do.
func Own(_ int, peerID string) (string, *wire.Error) { return Key(peerID), nil }

// Shared gives everybody the same key.
func Shared(int, string) (string, *wire.Error) { return Key("everybody"), nil }

// Changing gives another key each time.
func Changing(n int, _ string) (string, *wire.Error) { return Key(strconv.Itoa(n)), nil }

// Refusing refuses everybody, as a policy does.
func Refusing(int, string) (string, *wire.Error) {
	return "", &wire.Error{Error: wire.PolicyViolation, Details: "not you"}
}

// Fickle gives a key once.
func Fickle(n int, peerID string) (string, *wire.Error) {
	if n > 1 {
		return Refusing(n, peerID)
	}
	return Own(n, peerID)
}

// Key is 32 bytes of hex that depend on a name.
func Key(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}
