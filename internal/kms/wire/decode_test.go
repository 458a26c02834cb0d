package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	want := wire.KeyRequest{ChallengeID: "c", QuoteB64: "q\n<é>", PeerID: "p", PeerPublicKeyB64: "k", SignatureB64: "s"}
	data, err := json.Marshal(want)
	require.NoError(t, err)
	var got wire.KeyRequest
	require.NoError(t, wire.Decode(append(data, " \n"...), &got))
	require.Equal(t, want, got)
	var asks wire.AttestRequest
	require.NoError(t, wire.Decode([]byte(`{"transportKey":true,"nonceB64":"a","eventLog":false}`), &asks))
	require.Equal(t, wire.AttestRequest{NonceB64: "a", TransportKey: true}, asks)
	var none wire.AttestRequest
	require.NoError(t, wire.Decode([]byte("{}"), &none))
	require.Empty(t, none)
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"empty":            {``, "unexpected EOF"},
		"null":             {`null`, "not a JSON object"},
		"array":            {`["nonceB64"]`, "not a JSON object"},
		"unknown":          {`{"mock":"true"}`, `"mock" is unknown`},
		"other case":       {`{"NonceB64":"a"}`, `"NonceB64" is unknown`},
		"twice":            {`{"nonceB64":"a","nonceB64":"a"}`, `"nonceB64" appears twice`},
		"escaped twice":    {`{"nonceB64":"a","\u006eonceB64":"a"}`, `"nonceB64" appears twice`},
		"number":           {`{"nonceB64":1}`, "not a string"},
		"null value":       {`{"nonceB64":null}`, "not a string"},
		"object":           {`{"nonceB64":{}}`, "not a string"},
		"optional, empty":  {`{"bindingB64":""}`, "optional and empty"},
		"a text for a yes": {`{"transportKey":"true"}`, `"transportKey" is neither true nor false`},
		"a one for a yes":  {`{"eventLog":1}`, `"eventLog" is neither true nor false`},
		"yes for a text":   {`{"nonceB64":true}`, "not a string"},
		"cut in a key":     {`{"non`, "unexpected EOF"},
		"cut in a value":   {`{"nonceB64":"a`, "unexpected EOF"},
		"cut at the end":   {`{"nonceB64":"a"`, "EOF"},
		"half a pair":      {`{"nonceB64":"\ud800"}`, "half of a surrogate pair"},
		"not UTF-8":        {"{\"nonceB64\":\"\xff\"}", "not UTF-8"},
		"no value":         {`{"nonceB64"}`, "invalid character"},
		"trailing value":   {`{} {}`, "data after the end"},
		"trailing text":    {`{}x`, "data after the end"},
	} {
		require.ErrorContains(t, wire.Decode([]byte(tc.in), &wire.AttestRequest{}), tc.want, name)
	}
}

// What it accepts, the strict reader of this project's files reads alike, but for fields that are missing, or say no.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"nonceB64":"a","bindingB64":"b"}`))
	f.Add([]byte(`{"nonceB64":"a","bindingB64":"b","transportKey":true,"eventLog":false}`))
	f.Add([]byte(`{"\u006eonceB64":"\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want wire.AttestRequest
		err, strict := wire.Decode(data, &got), canonical.Unmarshal(data, &want)
		if err == nil {
			if strict != nil {
				require.Regexp(t, `is missing|"(transportKey|eventLog)" is unknown, or empty`, strict.Error())
				return
			}
			require.Equal(t, want, got)
		}
	})
}
