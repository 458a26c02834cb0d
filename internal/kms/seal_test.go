package kms_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// clearly is the environment of a service that releases keys in the clear, if it does.
func clearly(clear bool) []string {
	if clear {
		return []string{"MERO_KMS_REQUIRE_SEALED_KEY_RELEASE=false"}
	}
	return nil
}

func other(t *testing.T) *wire.PublicKey {
	t.Helper()
	key := wire.NewSealingKey().Public()
	return &key
}

func TestAKeyIsReleasedSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := begin(t, w, w.node(t, "1.0.0", release.Debug))
	key := keyOf("merod/storage/debug/" + string(a.id))
	require.Equal(t, key, a.ask(t))
	require.Contains(t, w.logs.String(), `"msg":"key released"`)
	require.Contains(t, w.logs.String(), `"sealed":true`)
	require.NotContains(t, w.logs.String(), key)
	require.NotContains(t, w.logs.String(), keyOf(wire.TransportKeyPath))
	require.NotContains(t, health(t, w).Warning, "in the clear")
}

// merod may spell the key in what it signs as the request does.
func TestBothSpellingsOfTheSignedKeyAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := begin(t, w, w.node(t, "1.0.0", release.Debug))
	payloads := wire.SignedPayloads(a.challenge.ChallengeID, a.nonce, a.id, a.quote, a.sealTo)
	require.Len(t, payloads, 2)
	require.Contains(t, string(payloads[1]), `"sealToB64":"`+a.request.SealToB64+`"`)
	a.request.SignatureB64 = b64(signed(a, payloads[1]))
	require.Equal(t, keyOf("merod/storage/debug/"+string(a.id)), a.ask(t))
}

// Everything about sealing that is wrong, swapped, replayed or of another challenge has its own words.
func TestSealingRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status    int
		tag, want string
		change    func(*testing.T, *attempt)
	}{
		"no key to seal to": {400, wire.InvalidAttestation, "the request lacks sealToB64, which merod 0.11.0-rc.47",
			func(t *testing.T, a *attempt) { a.sealTo = nil; a.again(t) }},
		"it was taken away": {400, wire.InvalidAttestation, "the request lacks sealToB64",
			func(_ *testing.T, a *attempt) { a.request.SealToB64 = "" }},
		"not base64": {400, wire.InvalidAttestation, "sealToB64 is not base64 of 32 bytes",
			func(_ *testing.T, a *attempt) { a.request.SealToB64 = "%" }},
		"short": {400, wire.InvalidAttestation, "sealToB64 is not base64 of 32 bytes",
			func(_ *testing.T, a *attempt) { a.request.SealToB64 = b64(a.sealTo[:31]) }},
		"long": {400, wire.InvalidAttestation, "sealToB64 is not base64 of 32 bytes",
			func(_ *testing.T, a *attempt) { a.request.SealToB64 = b64(append(a.sealTo[:], 0)) }},
		"of low order": {400, wire.InvalidAttestation, "sealToB64 is a point of low order",
			func(t *testing.T, a *attempt) { a.sealTo = &wire.PublicKey{1}; a.again(t) }},
		"added on the way": {401, wire.InvalidSignature, "not what the peer signed, which names no key to seal to",
			func(t *testing.T, a *attempt) {
				a.sealTo = nil
				a.again(t)
				a.request.SealToB64 = b64(other(t)[:])
			}},
		"swapped on the way": {401, wire.InvalidSignature, "over this challenge, quote and key to seal to",
			func(t *testing.T, a *attempt) { a.request.SealToB64 = b64(other(t)[:]) }},
		"signed, and quoted another": {401, wire.PeerIDMismatch, "bound to another peer ID or key to seal to",
			func(t *testing.T, a *attempt) { a.quoteOver(t, reportData(a.nonce, a.id, other(t))) }},
		"signed, and not quoted": {401, wire.PeerIDMismatch, "bound to the peer ID and to no key to seal to",
			func(t *testing.T, a *attempt) { a.quoteOver(t, wire.NodeReportData(a.nonce, a.id)) }},
		"of another challenge": {401, wire.InvalidSignature, "over this challenge, quote and key to seal to",
			func(t *testing.T, a *attempt) {
				a.request.ChallengeID = begin(t, a.w, a.node).challenge.ChallengeID
			}},
		"quoted for another challenge": {401, wire.InvalidChallenge, "does not hold this challenge's nonce",
			func(t *testing.T, a *attempt) {
				quote := a.quote
				a.challenge = begin(t, a.w, a.node).challenge
				nonce, err := wire.Bytes(a.challenge.NonceB64)
				require.NoError(t, err)
				a.nonce, a.quote = [32]byte(nonce), quote
				a.sign()
			}},
		"replayed": {401, wire.InvalidChallenge, "unknown, expired, used",
			func(t *testing.T, a *attempt) { a.ask(t) }},
		"replayed with a key of somebody else": {401, wire.InvalidSignature, "over this challenge, quote and key to seal to",
			func(t *testing.T, a *attempt) { a.ask(t); a.request.SealToB64 = b64(other(t)[:]) }},
		"no transport key from dstack": {500, wire.KeyDerivationFailed, "the platform gave no transport key",
			func(_ *testing.T, a *attempt) { a.w.guest.noKey.Store(true) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			a := begin(t, w, w.node(t, "1.0.0", release.Debug))
			tc.change(t, a)
			before := strings.Count(w.logs.String(), "key released")
			status, said := post(t, w.url+"/get-key", a.request)
			require.Equal(t, tc.status, status, said.Details)
			require.Equal(t, tc.tag, said.Error, said.Details)
			require.Contains(t, said.Details, tc.want)
			require.Equal(t, before, strings.Count(w.logs.String(), "key released"))
		})
	}
}

// Clear keys are an operator's measured choice, and said with every request.
func TestClearKeysAreAMeasuredChoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, clearly(true)...)
	require.Contains(t, health(t, w).Warning, "not Intel's")
	require.Contains(t, health(t, w).Warning, "; keys are released in the clear")
	a := begin(t, w, w.node(t, "1.0.0", release.Debug))
	a.sealTo = nil
	a.again(t)
	var answer wire.KeyResponse
	answered(t, w.url+"/get-key", a.request, &answer)
	require.Equal(t, wire.KeyResponse{Key: keyOf("merod/storage/debug/" + string(a.id))}, answer)
	status, _ := post(t, w.url+"/get-key", a.request)
	require.Equal(t, http.StatusUnauthorized, status)
	begin(t, w, a.node).ask(t)
	logs := w.logs.String()
	require.Equal(t, 3, strings.Count(logs, `"level":"WARN","msg":"key requested; keys are released in the clear`))
	require.Len(t, regexp.MustCompile(`"msg":"key released".*"sealed":false`).FindAllString(logs, -1), 1)
	require.Len(t, regexp.MustCompile(`"msg":"key released".*"sealed":true`).FindAllString(logs, -1), 1)
	require.NotContains(t, logs, answer.Key)
}

// What asks for no key to be sealed is not turned into a request for a clear one by whoever takes the key away.
func TestATakenAwayKeyIsNotAClearRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, clearly(true)...)
	a := begin(t, w, w.node(t, "1.0.0", release.Debug))
	a.request.SealToB64 = ""
	status, said := post(t, w.url+"/get-key", a.request)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, wire.InvalidSignature, said.Error)
}

// All instances of an application seal with one key: a node may verify one and be answered by another.
func TestInstancesShareTheTransportKey(t *testing.T) {
	t.Parallel()
	one, two := newWorld(t, nil), newWorld(t, nil)
	node := one.node(t, "1.0.0", release.Debug)
	report, err := node.ObserveKMS(t.Context(), one.url, one.verifier, composeHash)
	require.NoError(t, err)
	_, err = node.GetKey(t.Context(), two.url, report.Transport)
	require.NoError(t, err)
}
