package kms_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func TestKeyRequestRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		tag    string
		change func(*testing.T, *attempt)
	}{
		"peer ID malformed": {400, wire.InvalidPeerID, func(_ *testing.T, a *attempt) { a.request.PeerID = "Qm" }},
		"challenge ID malformed": {401, wire.InvalidChallenge,
			func(_ *testing.T, a *attempt) { a.request.ChallengeID = "../x" }},
		"challenge unknown": {401, wire.InvalidChallenge,
			func(_ *testing.T, a *attempt) { a.request.ChallengeID = strings.Repeat("0", 32) }},
		"quote not base64": {400, wire.InvalidRequest, func(_ *testing.T, a *attempt) { a.request.QuoteB64 = "%" }},
		"public key not base64": {400, wire.InvalidPeerPublicKey,
			func(_ *testing.T, a *attempt) { a.request.PeerPublicKeyB64 = "%" }},
		"public key not protobuf": {400, wire.InvalidPeerPublicKey,
			func(_ *testing.T, a *attempt) { a.request.PeerPublicKeyB64 = b64(make([]byte, 36)) }},
		"signature not base64": {401, wire.InvalidSignature, func(_ *testing.T, a *attempt) { a.request.SignatureB64 = "%" }},
		"signature of another": {401, wire.InvalidSignature, func(t *testing.T, a *attempt) {
			a.request.SignatureB64 = b64(ed25519.Sign(stranger(t), a.payload()))
		}},
		"signature over another nonce": {401, wire.InvalidSignature,
			func(_ *testing.T, a *attempt) { a.nonce[0] ^= 1; a.sign() }},
		"signature over another quote": {401, wire.InvalidSignature,
			func(_ *testing.T, a *attempt) { a.quote[600] ^= 1; a.request.QuoteB64 = b64(a.quote) }},
		"public key of another": {401, wire.PeerIdentityMismatch,
			func(t *testing.T, a *attempt) { a.node.Key = stranger(t); a.sign() }},
		"peer of another challenge": {401, wire.InvalidChallenge, func(t *testing.T, a *attempt) {
			a.node.Key = stranger(t)
			a.id = a.node.PeerID()
			a.again(t)
		}},
		"challenge expired": {401, wire.InvalidChallenge,
			func(_ *testing.T, a *attempt) { a.w.ahead.Store(int64(time.Minute + time.Second)) }},
		"nonce of another challenge": {401, wire.InvalidChallenge, func(t *testing.T, a *attempt) {
			a.quoteOver(t, reportData([32]byte{1}, a.id, a.sealTo))
		}},
		"quote bound to another peer": {401, wire.PeerIDMismatch, func(t *testing.T, a *attempt) {
			a.quoteOver(t, reportData(a.nonce, wire.PeerIDOf(stranger(t).Public().(ed25519.PublicKey)), a.sealTo))
		}},
		"quote is garbage": {401, wire.AttestationFailed,
			func(_ *testing.T, a *attempt) { a.quote = []byte("quote"); a.sign() }},
		"quote is empty":    {401, wire.AttestationFailed, func(_ *testing.T, a *attempt) { a.quote = nil; a.sign() }},
		"quote was altered": {401, wire.AttestationFailed, func(_ *testing.T, a *attempt) { a.quote[200] ^= 1; a.sign() }},
		"PCK revoked": {401, wire.AttestationFailed, func(_ *testing.T, a *attempt) {
			a.w.pcs.Change(func(k *tdxsim.Faults) { k.RevokePCK = true })
		}},
		"platform out of date": {403, wire.PolicyViolation, func(_ *testing.T, a *attempt) { a.w.pcs.Change(outOfDate) }},
		"platform without a TCB level": {403, wire.PolicyViolation, func(_ *testing.T, a *attempt) {
			a.w.pcs.Change(func(k *tdxsim.Faults) { k.NoLevel = "platform" })
		}},
		"platform revoked": {403, wire.PolicyViolation, func(_ *testing.T, a *attempt) {
			a.w.pcs.Change(func(k *tdxsim.Faults) { k.Platform = tdx.Revoked })
		}},
		"collateral that ended": {503, wire.VerificationUnavailable, func(_ *testing.T, a *attempt) {
			a.w.pcs.Change(func(k *tdxsim.Faults) { k.Validity = -time.Minute })
		}},
		"collateral of the future": {503, wire.VerificationUnavailable, func(_ *testing.T, a *attempt) {
			a.w.pcs.Change(func(k *tdxsim.Faults) { k.Age = -time.Hour })
		}},
		"collateral that was altered": {503, wire.VerificationUnavailable, func(_ *testing.T, a *attempt) {
			a.w.pcs.Change(func(k *tdxsim.Faults) {
				k.Tamper = func(_ string, body []byte) []byte { return bytes.Replace(body, []byte(`17`), []byte(`18`), 1) }
			})
		}},
		"collateral unavailable": {503, wire.VerificationUnavailable, func(_ *testing.T, a *attempt) {
			a.w.pcs.Change(func(k *tdxsim.Faults) { k.Unavailable = true })
		}},
		"no key from dstack": {500, wire.KeyDerivationFailed, func(_ *testing.T, a *attempt) { a.w.guest.noKey.Store(true) }},
	} {
		for _, version := range []int{4, 5} {
			t.Run(fmt.Sprintf("%s, version %d", name, version), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, nil)
				w.version = version
				a := begin(t, w, w.node(t, "1.0.0", release.Debug))
				tc.change(t, a)
				status, said := post(t, w.url+"/get-key", a.request)
				require.Equal(t, tc.status, status, said.Details)
				require.Equal(t, tc.tag, said.Error, said.Details)
				require.NotContains(t, w.logs.String(), "key released")
				require.NotContains(t, w.logs.String(), a.challenge.ChallengeID, "a challenge is logged by its first digits")
			})
		}
	}
}

func TestDebugTDGetsNoKeyEvenWhenRegistersAreNotEnforced(t *testing.T) {
	t.Parallel()
	requireNoKeyFor(t, tdxsim.Debug, "debug")
}

func TestMigratableTDGetsNoKeyEvenWhenRegistersAreNotEnforced(t *testing.T) {
	t.Parallel()
	requireNoKeyFor(t, tdxsim.Migratable, "migratable")
}

func requireNoKeyFor(t *testing.T, option tdxsim.TDOption, said string) {
	t.Helper()
	w := newWorld(t, func(p *policies.Policy) { p.Status, p.KMSVersion.Candidate = policies.NotReady, 3 })
	_, err := w.node(t, "1.0.0", release.Debug, option).GetKey(t.Context(), w.url, transportOf(w))
	requireRefused(t, err, http.StatusForbidden, wire.PolicyViolation)
	require.ErrorContains(t, err, said)
}

func TestForeignPlatformGetsNoKey(t *testing.T) {
	t.Parallel()
	w, pki := newWorld(t, nil), func() *tdxsim.PKI {
		p, err := tdxsim.NewPKI([]byte("another root"))
		require.NoError(t, err)
		return p
	}()
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	td := platform.NewTD(nodeMRTD("1.0.0"))
	for i, e := range nodeEvents("1.0.0") {
		require.NoError(t, td.Extend(i, e))
	}
	_, err = agentOver(t, td, release.Debug, 4).GetKey(t.Context(), w.url, transportOf(w))
	requireRefused(t, err, http.StatusUnauthorized, wire.AttestationFailed)
	require.ErrorContains(t, err, "not the pinned")
}

func TestEachRegisterCounts(t *testing.T) {
	t.Parallel()
	wrong := tdx.Register(bytes.Repeat([]byte{9}, tdx.RegisterSize))
	for i, name := range tdx.RegisterNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			allowed := nodeRegisters("1.0.0", release.Debug)
			*[]*tdx.Register{&allowed.MRTD, &allowed.RTMR0, &allowed.RTMR1, &allowed.RTMR2, &allowed.RTMR3}[i] = wrong
			w := newWorld(t, func(p *policies.Policy) { *p = *policyFor(allowed) })
			_, err := w.node(t, "1.0.0", release.Debug).GetKey(t.Context(), w.url, transportOf(w))
			requireRefused(t, err, http.StatusForbidden, wire.PolicyViolation)
			require.ErrorContains(t, err, name+" "+nodeRegisters("1.0.0", release.Debug).Values()[i].String())
			require.ErrorContains(t, err, wrong.String(), "the nearest tuple is shown")
		})
	}
}

func TestRegistersOfTwoReleasesDoNotMix(t *testing.T) {
	t.Parallel()
	old, current := nodeRegisters("1.0.0", release.Debug), nodeRegisters("1.1.0", release.Debug)
	w := newWorld(t, func(p *policies.Policy) { *p = *policyFor(old, current) })
	for _, version := range []string{"1.0.0", "1.1.0"} {
		_, err := w.node(t, version, release.Debug).GetKey(t.Context(), w.url, transportOf(w))
		require.NoError(t, err, version)
	}
	mixed := w.platform.NewTD(nodeMRTD("1.0.0"))
	for i, e := range nodeEvents("1.1.0") {
		require.NoError(t, mixed.Extend(i, e))
	}
	_, err := agentOver(t, mixed, release.Debug, 4).GetKey(t.Context(), w.url, transportOf(w))
	requireRefused(t, err, http.StatusForbidden, wire.PolicyViolation)
}

func TestAChallengeIsUsedOnceAlsoWhenThePolicyRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := begin(t, w, w.node(t, "1.0.0", release.LockedReadOnly))
	status, said := post(t, w.url+"/get-key", a.request)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, wire.PolicyViolation, said.Error)
	status, said = post(t, w.url+"/get-key", a.request)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, wire.InvalidChallenge, said.Error)
}

// What anybody could have sent in the peer's name does not use up its challenge.
func TestAChallengeOutlivesARequestThatProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := begin(t, w, w.node(t, "1.0.0", release.Debug))
	good := a.request
	a.request.SignatureB64 = b64(make([]byte, 64))
	status, _ := post(t, w.url+"/get-key", a.request)
	require.Equal(t, http.StatusUnauthorized, status)
	status, said := post(t, w.url+"/get-key", good)
	require.Equal(t, http.StatusOK, status, said.Details)
	status, said = post(t, w.url+"/get-key", good)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, wire.InvalidChallenge, said.Error)
}

func TestOneOf64ConcurrentClientsWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := begin(t, w, w.node(t, "1.0.0", release.Debug))
	body, err := json.Marshal(a.request)
	require.NoError(t, err)
	var released, refused atomic.Int32
	var start, done sync.WaitGroup
	start.Add(1)
	for range 64 {
		done.Go(func() {
			start.Wait()
			resp, err := http.Post(w.url+"/get-key", "application/json", bytes.NewReader(body))
			if err != nil {
				return
			}
			defer resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK:
				released.Add(1)
			case http.StatusUnauthorized:
				refused.Add(1)
			}
		})
	}
	start.Done()
	done.Wait()
	require.EqualValues(t, 1, released.Load())
	require.EqualValues(t, 63, refused.Load())
}
