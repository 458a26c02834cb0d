package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// BenchmarkSeal is what sealing adds to one release: the shared secret, the cipher's key, and the key's digits.
func BenchmarkSeal(b *testing.B) {
	transport, node := sealingKey(b, 0x22), sealingKey(b, 0x33).Public()
	for b.Loop() {
		seals, err := transport.SealTo(node, wire.Release{PeerID: vectorRelease.PeerID})
		require.NoError(b, err)
		seals.Seal(vectorKey)
	}
}
