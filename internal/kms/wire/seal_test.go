package wire_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// The public vectors' inputs; merod and the key service of rc.47 have the same in their tests.
var (
	vectorKey     = []byte(strings.Repeat("00112233445566778899aabbccddeeff", 2))
	vectorRelease = wire.Release{Nonce: [32]byte(bytes.Repeat([]byte{0x11}, 32)), PeerID: "12D3KooWPeer"}
	vectorNonce   = bytes.Repeat([]byte{0x44}, 12)
)

func sealingKey(t testing.TB, fill byte) *wire.SealingKey {
	t.Helper()
	k, err := wire.NewTransportKey(bytes.Repeat([]byte{fill}, 32))
	require.NoError(t, err)
	return k
}

func TestPublicVectors(t *testing.T) {
	t.Parallel()
	transport, node := sealingKey(t, 0x22), sealingKey(t, 0x33)
	attest := wire.AttestBinding([32]byte(bytes.Repeat([]byte{0x77}, 32)), transport.Public())
	require.Equal(t, "9554b7960a1e1e3493ba075885680dc2c8c17f3c0caf7c5fc97a80400703acf7", hex.EncodeToString(attest[:]))
	request := wire.RequestBinding(node.Public(), vectorRelease.PeerID)
	require.Equal(t, "9ef1ee8c46f5fa7b8ed4bcec0255cd88ec847674a6c6aca13eb5076c85af9f17", hex.EncodeToString(request[:]))
	data := wire.SealedReportData(vectorRelease.Nonce, node.Public(), vectorRelease.PeerID)
	require.Equal(t, append(vectorRelease.Nonce[:], request[:]...), data[:])

	service, err := transport.SealTo(node.Public(), vectorRelease)
	require.NoError(t, err)
	sealed := service.SealWith(vectorNonce, vectorKey)
	require.Equal(t, "ebb35e8aa078b188ac8118d8a5c57f63ebe9431c41d887a1df61425b18d8f6b1"+
		"7287f6c7e3d81ea1af1ce06ce3cdc9ccce726b637498bf43c290a1dce1d9231a201a46995aa2dcc60f1224f553c29730",
		hex.EncodeToString(sealed))
	own, err := node.SealedBy(transport.Public(), vectorRelease)
	require.NoError(t, err)
	opened, err := own.Open(vectorNonce, sealed)
	require.NoError(t, err)
	require.Equal(t, vectorKey, opened)
}

func TestSealsOpenForNobodyElse(t *testing.T) {
	t.Parallel()
	transport, node := sealingKey(t, 0x22), sealingKey(t, 0x33)
	service, err := transport.SealTo(node.Public(), vectorRelease)
	require.NoError(t, err)
	nonce, sealed := service.Seal(vectorKey)
	again, _ := service.Seal(vectorKey)
	require.NotEqual(t, nonce, again)
	altered := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
	another, peer := vectorRelease, vectorRelease
	another.Nonce[0] ^= 1
	peer.PeerID += "s"
	for name, tc := range map[string]struct {
		node          *wire.SealingKey
		transport     wire.PublicKey
		release       wire.Release
		nonce, sealed []byte
		want          string
	}{
		"another node":         {sealingKey(t, 0x66), transport.Public(), vectorRelease, nonce, sealed, "does not open"},
		"another service":      {node, sealingKey(t, 0x55).Public(), vectorRelease, nonce, sealed, "does not open"},
		"another challenge":    {node, transport.Public(), another, nonce, sealed, "does not open"},
		"another peer":         {node, transport.Public(), peer, nonce, sealed, "does not open"},
		"another nonce":        {node, transport.Public(), vectorRelease, altered(nonce, 3), sealed, "does not open"},
		"altered":              {node, transport.Public(), vectorRelease, nonce, altered(sealed, 0), "does not open"},
		"its tag altered":      {node, transport.Public(), vectorRelease, nonce, altered(sealed, 79), "does not open"},
		"cut":                  {node, transport.Public(), vectorRelease, nonce, sealed[:79], "79 bytes"},
		"longer":               {node, transport.Public(), vectorRelease, nonce, append(sealed[:80:80], 0), "81 bytes"},
		"nonce cut":            {node, transport.Public(), vectorRelease, nonce[:11], sealed, "nonce of 11 bytes"},
		"nothing":              {node, transport.Public(), vectorRelease, nil, nil, "nonce of 0 bytes"},
		"the ends are swapped": {transport, node.Public(), vectorRelease, nonce, sealed, "does not open"},
	} {
		s, err := tc.node.SealedBy(tc.transport, tc.release)
		require.NoError(t, err, name)
		_, err = s.Open(tc.nonce, tc.sealed)
		require.ErrorContains(t, err, tc.want, name)
	}
}

// Each of these gives the all-zero secret with every key (RFC 7748, section 6.1; the list is of cr.yp.to/ecdh.html).
func TestPointsOfLowOrderAreRefused(t *testing.T) {
	t.Parallel()
	k := sealingKey(t, 0x22)
	for _, point := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		raw, err := hex.DecodeString(point)
		require.NoError(t, err)
		_, err = k.SealTo(wire.PublicKey(raw), vectorRelease)
		require.ErrorIs(t, err, wire.ErrLowOrder, point)
		_, err = k.SealedBy(wire.PublicKey(raw), vectorRelease)
		require.ErrorIs(t, err, wire.ErrLowOrder, point)
	}
}

func TestTransportKeyIsTheFirst32Bytes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 31} {
		_, err := wire.NewTransportKey(make([]byte, n))
		require.ErrorContains(t, err, "fewer than 32")
	}
	long, err := wire.NewTransportKey(append(bytes.Repeat([]byte{0x22}, 32), 9, 9))
	require.NoError(t, err)
	require.Equal(t, sealingKey(t, 0x22).Public(), long.Public())
	require.NotEqual(t, wire.NewSealingKey().Public(), wire.NewSealingKey().Public())
}

// Nothing but what the service sealed opens, and no bytes end the program.
func FuzzOpen(f *testing.F) {
	transport, node := sealingKey(f, 0x22), sealingKey(f, 0x33)
	service, err := transport.SealTo(node.Public(), vectorRelease)
	require.NoError(f, err)
	sealed, public := service.SealWith(vectorNonce, vectorKey), transport.Public()
	f.Add(public[:], vectorNonce, sealed)
	f.Add(make([]byte, 32), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, by, nonce, data []byte) {
		if len(by) != 32 {
			return
		}
		s, err := node.SealedBy(wire.PublicKey(by), vectorRelease)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrLowOrder)
			return
		}
		if opened, err := s.Open(nonce, data); err == nil {
			require.Equal(t, vectorKey, opened)
			require.Equal(t, sealed, data)
		}
	})
}
