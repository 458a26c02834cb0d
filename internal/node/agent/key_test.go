package agent_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

const challengeID = "000102030405060708090a0b0c0d0e0f"

// asked is an agent whose key service answers with the given bodies, status 200.
func asked(t *testing.T, challenge, key string) *agent.Agent {
	t.Helper()
	_, platform := machine(t)
	a := newAgent(t, tdxsim.TSM(platform.NewTD(tdx.Register{1}), 4))
	a.HTTP = &http.Client{Transport: local{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := challenge
		if r.URL.Path == "/get-key" {
			body = key
		}
		_, _ = io.WriteString(w, body)
	})}}
	return a
}

func goodChallenge() string {
	return `{"challengeId":"` + challengeID + `","nonceB64":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) +
		`","expiresAt":1}`
}

// TestGetKeyProvesItself checks what the agent sends against the wire format; the
// whole flow against the key service is tested beside the service.
func TestGetKeyProvesItself(t *testing.T) {
	t.Parallel()
	a := asked(t, "", "")
	secret := strings.Repeat("5a", 32)
	var sent wire.KeyRequest
	a.HTTP.Transport = local{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/challenge" {
			_, _ = io.WriteString(w, goodChallenge())
			return
		}
		_ = json.NewDecoder(r.Body).Decode(&sent)
		_, _ = io.WriteString(w, `{"key":"`+secret+`","addedLater":1}`)
	})}
	key, err := a.GetKey(t.Context(), "http://kms")
	require.NoError(t, err)
	require.Equal(t, secret, hex.EncodeToString(key))

	decode := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	public, err := wire.ParsePublicKey(decode(sent.PeerPublicKeyB64))
	require.NoError(t, err)
	require.Equal(t, string(wire.PeerIDOf(public)), sent.PeerID)
	quote := decode(sent.QuoteB64)
	require.True(t, ed25519.Verify(public, wire.SignedPayload(challengeID, [32]byte{}, a.PeerID(), quote),
		decode(sent.SignatureB64)))
	q, err := tdx.ParseQuote(quote)
	require.NoError(t, err)
	require.Equal(t, wire.NodeReportData([32]byte{}, a.PeerID()), q.ReportData)
}

func TestGetKeyRefusesBadAnswers(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("5ec2e7", 4)
	for name, tc := range map[string]struct{ challenge, key, want string }{
		"challenge no JSON":   {"x", "", "/challenge: the answer is not the JSON expected"},
		"challenge oversized": {strings.Repeat(" ", 2<<20+1), "", "larger than"},
		"short nonce":         {`{"challengeId":"` + challengeID + `","nonceB64":"AAAA"}`, "", "challenge is malformed"},
		"challenge ID":        {strings.Replace(goodChallenge(), challengeID, "x", 1), "", "challenge is malformed"},
		"short key":           {goodChallenge(), `{"key":"` + secret + `"}`, "not 32 bytes"},
		"key no JSON":         {goodChallenge(), `{"key":["` + secret + `"]}`, "not the JSON expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := asked(t, tc.challenge, tc.key).GetKey(t.Context(), "http://kms")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "5ec2e7")
		})
	}
}

func TestRefusalIsTyped(t *testing.T) {
	t.Parallel()
	a := asked(t, "", "")
	a.HTTP.Transport = local{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":"policy_violation","details":"rtmr3"}`)
	})}
	_, err := a.GetKey(t.Context(), "http://kms")
	var no *agent.Refused
	require.ErrorAs(t, err, &no)
	require.Equal(t, agent.Refused{Path: "/challenge", Status: 403, Tag: wire.PolicyViolation, Details: "rtmr3"}, *no)
}
