package agent

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// No answer gives a key but one that was sealed to the request, and no error repeats one.
func FuzzUnseal(f *testing.F) {
	const key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	b64 := base64.StdEncoding.EncodeToString
	service, own := wire.NewSealingKey(), wire.NewSealingKey()
	release := wire.Release{PeerID: "p"}
	sealing, err := service.SealTo(own.Public(), release)
	require.NoError(f, err)
	nonce, sealed := sealing.Seal([]byte(key))
	good, err := json.Marshal(wire.KeyResponse{SealedKeyB64: b64(sealed), SealNonceB64: b64(nonce)})
	require.NoError(f, err)
	nonce, sealed = sealing.Seal([]byte(key + "00"))
	long, err := json.Marshal(wire.KeyResponse{SealedKeyB64: b64(sealed), SealNonceB64: b64(nonce)})
	require.NoError(f, err)
	for _, s := range [][]byte{good, long, []byte(`{"key":"` + key + `"}`), []byte(`{}`),
		[]byte(`{"sealedKeyB64":"AA=="}`),
		[]byte(`{"sealedKeyB64":"AA==\n","sealNonceB64":"AAAAAAAAAAAAAAAA"}`)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var answer wire.KeyResponse
		if json.Unmarshal(data, &answer) != nil {
			return
		}
		opens, err := own.SealedBy(service.Public(), release)
		require.NoError(t, err)
		got, err := unseal(answer, opens)
		if err != nil {
			require.Nil(t, got)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			require.NotContains(t, err.Error(), key)
			return
		}
		require.Len(t, got, keySize)
		require.Empty(t, answer.Key)
	})
}

// What a service refuses in is shown as text, with its status, whatever it is.
func FuzzRefused(f *testing.F) {
	for _, s := range []string{`{"error":"invalid_challenge","details":"used"}`, "<html>", "", "null", `{"error":1}`,
		"\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var no *Refused
		require.ErrorAs(t, refused("/get-key", http.StatusUnauthorized, body), &no)
		require.Equal(t, http.StatusUnauthorized, no.Status)
		require.True(t, utf8.ValidString(no.Tag) && utf8.ValidString(no.Details))
	})
}
