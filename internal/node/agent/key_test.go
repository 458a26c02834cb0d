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
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
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

// sealed is the service's answer to a request over the challenge of goodChallenge.
func sealed(t *testing.T, q wire.KeyRequest, digits string) wire.KeyResponse {
	t.Helper()
	sealTo, err := wire.Bytes(q.SealToB64)
	require.NoError(t, err)
	seals, err := transport.SealTo(wire.PublicKey(sealTo), wire.Release{PeerID: wire.PeerID(q.PeerID)})
	require.NoError(t, err)
	nonce, sealed := seals.Seal([]byte(digits))
	return wire.KeyResponse{SealedKeyB64: b64(sealed), SealNonceB64: b64(nonce)}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// sealing is an agent whose key service answers a request as the test says.
func sealing(t *testing.T, answer func(wire.KeyRequest) any) *agent.Agent {
	t.Helper()
	a := asked(t, "", "")
	a.HTTP.Transport = local{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/challenge" {
			_, _ = io.WriteString(w, goodChallenge())
			return
		}
		var q wire.KeyRequest
		_ = json.NewDecoder(r.Body).Decode(&q)
		_ = json.NewEncoder(w).Encode(answer(q))
	})}
	return a
}

// TestGetKeyProvesItself checks what the agent sends against the wire format; the
// whole flow against the key service is tested beside the service.
func TestGetKeyProvesItself(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("5a", 32)
	var sent wire.KeyRequest
	a := sealing(t, func(q wire.KeyRequest) any {
		sent = q
		return struct {
			wire.KeyResponse
			AddedLater int
		}{sealed(t, q, secret), 1}
	})
	key, err := a.GetKey(t.Context(), "http://kms", transport.Public())
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
	quote, sealTo := decode(sent.QuoteB64), wire.PublicKey(decode(sent.SealToB64))
	require.True(t, ed25519.Verify(public, wire.SignedPayload(challengeID, [32]byte{}, a.PeerID(), quote, &sealTo),
		decode(sent.SignatureB64)))
	q, err := tdx.ParseQuote(quote)
	require.NoError(t, err)
	require.Equal(t, wire.SealedReportData([32]byte{}, sealTo, a.PeerID()), q.ReportData)
	first := sent.SealToB64
	_, err = a.GetKey(t.Context(), "http://kms", transport.Public())
	require.NoError(t, err)
	require.NotEqual(t, first, sent.SealToB64, "a key of one request")
}

// A service that is busy says when to ask again: who boots with many others gets its key all the same.
func TestGetKeyWaitsForABusyService(t *testing.T) {
	t.Parallel()
	for path, busy := range map[string]int{"/challenge": 1, "/get-key": 3} {
		synctest.Test(t, func(t *testing.T) {
			a := sealing(t, func(q wire.KeyRequest) any { return sealed(t, q, strings.Repeat("5a", 32)) })
			a.HTTP.Transport = crowded{a.HTTP.Transport, path, &busy}
			began := time.Now()
			_, err := a.GetKey(t.Context(), "http://kms", transport.Public())
			require.NoError(t, err, path)
			require.GreaterOrEqual(t, time.Since(began), time.Second, path)
			require.Zero(t, busy, path)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		busy := 100
		a := asked(t, goodChallenge(), "")
		a.HTTP.Transport = crowded{a.HTTP.Transport, "/challenge", &busy}
		_, err := a.GetKey(t.Context(), "http://kms", transport.Public())
		var refused *agent.Refused
		require.ErrorAs(t, err, &refused)
		require.Equal(t, http.StatusTooManyRequests, refused.Status)
		require.Less(t, 100-busy, 10, "not for ever")
	})
}

// crowded refuses so many requests of a path, until a second later.
type crowded struct {
	http.RoundTripper
	path string
	busy *int
}

func (c crowded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != c.path || *c.busy == 0 {
		return c.RoundTripper.RoundTrip(r)
	}
	*c.busy--
	return &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}},
		Body:    io.NopCloser(strings.NewReader(`{"error":"rate_limited","details":"too many requests are under way"}`)),
		Request: r}, nil
}

func TestGetKeyRefusesBadAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ challenge, key, want string }{
		"challenge no JSON":   {"x", "", "/challenge: the answer is not the JSON expected"},
		"challenge oversized": {strings.Repeat(" ", 2<<20+1), "", "larger than"},
		"short nonce":         {`{"challengeId":"` + challengeID + `","nonceB64":"AAAA"}`, "", "challenge is malformed"},
		"challenge ID":        {strings.Replace(goodChallenge(), challengeID, "x", 1), "", "challenge is malformed"},
		"key no JSON":         {goodChallenge(), `{"key":["` + strings.Repeat("5ec2e7", 4) + `"]}`, "not the JSON expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := asked(t, tc.challenge, tc.key).GetKey(t.Context(), "http://kms", transport.Public())
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "5ec2e7")
		})
	}
}

func TestGetKeyTakesNothingButItsOwnSealedKey(t *testing.T) {
	t.Parallel()
	secret, other := strings.Repeat("5ec2e700", 8), sealing(t, nil)
	for name, tc := range map[string]struct {
		answer func(*testing.T, wire.KeyRequest) any
		want   string
	}{
		"in the clear": {func(*testing.T, wire.KeyRequest) any { return wire.KeyResponse{Key: secret} }, "in the clear"},
		"both": {func(t *testing.T, q wire.KeyRequest) any {
			r := sealed(t, q, secret)
			r.Key = secret
			return r
		}, "in the clear"},
		"nothing": {func(*testing.T, wire.KeyRequest) any { return wire.KeyResponse{} }, "nonce of 0 bytes"},
		"sealed key not base64": {func(t *testing.T, q wire.KeyRequest) any {
			r := sealed(t, q, secret)
			r.SealedKeyB64 = "%"
			return r
		}, "sealedKeyB64 is not base64"},
		"nonce not base64": {func(t *testing.T, q wire.KeyRequest) any {
			r := sealed(t, q, secret)
			r.SealNonceB64 = "%"
			return r
		}, "sealNonceB64 is not base64"},
		"for another peer": {func(t *testing.T, q wire.KeyRequest) any {
			q.PeerID = string(other.PeerID())
			return sealed(t, q, secret)
		}, "does not open"},
		"for another node": {func(t *testing.T, q wire.KeyRequest) any {
			stranger := wire.NewSealingKey().Public()
			q.SealToB64 = b64(stranger[:])
			return sealed(t, q, secret)
		}, "does not open"},
		"no hex":    {func(t *testing.T, q wire.KeyRequest) any { return sealed(t, q, strings.Repeat("z", 64)) }, "of hex"},
		"short key": {func(t *testing.T, q wire.KeyRequest) any { return sealed(t, q, secret[:62]) }, "78 bytes, not 12"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := sealing(t, func(q wire.KeyRequest) any { return tc.answer(t, q) })
			_, err := a.GetKey(t.Context(), "http://kms", transport.Public())
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "5ec2e7")
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
	a := sealing(t, func(q wire.KeyRequest) any { return sealed(t, q, secret) })
	_, err := a.GetKey(t.Context(), "http://kms", wire.NewSealingKey().Public())
	require.ErrorContains(t, err, "does not open", "sealed by another service than the one that proved itself")
	_, err = a.GetKey(t.Context(), "http://kms", wire.PublicKey{})
	require.ErrorIs(t, err, wire.ErrLowOrder)
}

func TestRefusalIsTyped(t *testing.T) {
	t.Parallel()
	a := asked(t, "", "")
	a.HTTP.Transport = local{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":"policy_violation","details":"rtmr3"}`)
	})}
	_, err := a.GetKey(t.Context(), "http://kms", transport.Public())
	var no *agent.Refused
	require.ErrorAs(t, err, &no)
	require.Equal(t, agent.Refused{Path: "/challenge", Status: 403, Tag: wire.PolicyViolation, Details: "rtmr3"}, *no)
}
