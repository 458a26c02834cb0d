package wire_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

func key(t *testing.T) ed25519.PublicKey {
	t.Helper()
	return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
}

// The public key is that of RFC 8032's all-zero seed; the ID follows from the specification by hand:
// base58btc(00 24 08 01 12 20 ‖ key).
func TestKnownIdentity(t *testing.T) {
	t.Parallel()
	k := key(t)
	require.Equal(t, "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", hex.EncodeToString(k))
	require.Equal(t, wire.PeerID("12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"), wire.PeerIDOf(k))
	require.Equal(t, "CAESIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
		base64.StdEncoding.EncodeToString(wire.MarshalPublicKey(k)))
}

func TestParse(t *testing.T) {
	t.Parallel()
	k := key(t)
	id, err := wire.ParsePeerID(string(wire.PeerIDOf(k)))
	require.NoError(t, err)
	require.Equal(t, wire.PeerIDOf(k), id)
	parsed, err := wire.ParsePublicKey(wire.MarshalPublicKey(k))
	require.NoError(t, err)
	require.Equal(t, k, parsed)
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	good := string(wire.PeerIDOf(key(t)))
	raw, err := base58.Decode(good)
	require.NoError(t, err)
	hashed := append([]byte{0x12, 0x20}, raw[6:]...) // a SHA-256 multihash, as RSA keys have
	secp := append([]byte{}, raw...)
	secp[3] = 2
	for name, tc := range map[string]struct{ in, want string }{
		"empty":           {"", "0 characters"},
		"too long":        {strings.Repeat("1", 128+1), "129 characters"},
		"not base58":      {"0OIl", "not base58btc"},
		"hashed key":      {base58.Encode(hashed), "identity multihash"},
		"other key type":  {base58.Encode(secp), "Ed25519"},
		"truncated":       {base58.Encode(raw[:37]), "Ed25519"},
		"trailing byte":   {base58.Encode(append(append([]byte{}, raw...), 0)), "Ed25519"},
		"leading zero":    {"1" + good, "identity multihash"},
		"space":           {good + " ", "not base58btc"},
		"CID of the same": {"k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r", "base58"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := wire.ParsePeerID(tc.in)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	t.Parallel()
	good := wire.MarshalPublicKey(key(t))
	other := append([]byte{}, good...)
	other[1] = 0
	for name, in := range map[string][]byte{
		"empty": nil, "short": good[:35], "long": append(append([]byte{}, good...), 0), "RSA": other, "bare key": good[4:],
	} {
		_, err := wire.ParsePublicKey(in)
		require.ErrorContains(t, err, "Ed25519", name)
	}
}

// A signature that anybody can make verifies under each of these keys for some messages, so they name nobody.
func TestKeysOfSmallOrderAreNobodys(t *testing.T) {
	t.Parallel()
	anybodys := make([]byte, ed25519.SignatureSize)
	anybodys[0] = 1 // R is the neutral point, S is 0
	for _, unsigned := range wire.SmallOrders {
		for _, sign := range []byte{0, 0x80} {
			key, err := hex.DecodeString(unsigned)
			require.NoError(t, err)
			key[31] |= sign
			_, err = wire.ParsePublicKey(wire.MarshalPublicKey(key))
			require.ErrorContains(t, err, "small order")
			_, err = wire.ParsePeerID(string(wire.PeerIDOf(key)))
			require.ErrorContains(t, err, "small order")
			forged := false
			for m := range 1000 {
				forged = forged || ed25519.Verify(key, []byte{byte(m), byte(m >> 8)}, anybodys)
			}
			known := unsigned[:2] != "ed" && unsigned[:2] != "ee" // Go decodes no others that are not reduced
			require.True(t, forged || !known, "%x", key)
		}
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	got, err := wire.Bytes("AAE=")
	require.NoError(t, err)
	require.Equal(t, []byte{0, 1}, got)
	for name, text := range map[string]string{"a line end": "AA\nE=", "Windows' line end": "AAE=\r\n", "no padding": "AAE",
		"other bits": "AAF=", "of addresses": "_-8=", "a space": "AA E="} {
		_, err := wire.Bytes(text)
		require.Error(t, err, name)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN")
	f.Add("1")
	f.Add("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := wire.ParsePeerID(s); err == nil {
			require.Equal(t, s, string(id), "one spelling")
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(append([]byte{8, 1, 18, 32}, make([]byte, 32)...))
	f.Add([]byte{8, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := wire.ParsePublicKey(b); err == nil {
			require.Equal(t, b, wire.MarshalPublicKey(k))
		}
	})
}
