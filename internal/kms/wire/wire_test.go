package wire_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// The digests were computed with sha256sum on 2026-11-23.
func TestReportData(t *testing.T) {
	t.Parallel()
	binding := wire.DefaultBinding()
	require.Equal(t, "2323feace9fd1751a89ab2bebb8aba145f343a3688e3d1655ed428eb0766e396", hex.EncodeToString(binding[:]))

	nonce := [32]byte{0xaa}
	attest := wire.AttestReportData(nonce, binding)
	require.Equal(t, "aa"+strings.Repeat("00", 31)+hex.EncodeToString(binding[:]), hex.EncodeToString(attest[:]))

	node := wire.NodeReportData(nonce, wire.PeerID("peer"))
	require.Equal(t, "aa"+strings.Repeat("00", 31)+"2ffc1d06387ef8bb7a34312b6c6c3f691550684508c3ce7ee3889375a18d6fa0",
		hex.EncodeToString(node[:]))
}

func TestSignedPayload(t *testing.T) {
	t.Parallel()
	plain := `{"challengeId":"00ff","challengeNonceHex":"01` + strings.Repeat("00", 31) +
		`","peerId":"12D3","quoteHashHex":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"`
	require.Equal(t, plain+"}", string(wire.SignedPayload("00ff", [32]byte{1}, "12D3", nil, nil)))
	require.Equal(t, [][]byte{[]byte(plain + "}")}, wire.SignedPayloads("00ff", [32]byte{1}, "12D3", nil, nil))
	sealTo := &wire.PublicKey{31: 5}
	inHex := plain + `,"sealToHex":"` + strings.Repeat("00", 31) + `05"}`
	require.Equal(t, inHex, string(wire.SignedPayload("00ff", [32]byte{1}, "12D3", nil, sealTo)))
	require.Equal(t, [][]byte{[]byte(inHex), []byte(plain + `,"sealToB64":"` + strings.Repeat("A", 42) + `U="}`)},
		wire.SignedPayloads("00ff", [32]byte{1}, "12D3", nil, sealTo))
}

func TestIsChallengeID(t *testing.T) {
	t.Parallel()
	require.True(t, wire.IsChallengeID(strings.Repeat("0f", 16)))
	for _, s := range []string{"", strings.Repeat("0f", 15), strings.Repeat("0F", 16), strings.Repeat("0f", 16) + "\n",
		strings.Repeat("0g", 16)} {
		require.False(t, wire.IsChallengeID(s), "%q", s)
	}
}
