package kms_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func health(t *testing.T, w *world) wire.Health {
	t.Helper()
	resp, err := http.Get(w.url + "/health")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var h wire.Health
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&h))
	return h
}

func TestVerifyThenKeyTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.node(t, "1.0.0", release.Debug)
	report, err := a.VerifyKMS(t.Context(), w.url,
		agent.Expectation{Verifier: w.verifier, Registers: w.guest.td.Registers(),
			ComposeHash: composeHash, TCB: tcb.List{AllowedTCBStatus: []string{"UpToDate"}}})
	require.NoError(t, err)
	require.Len(t, report.Events, 10)

	first, err := a.GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)
	second, err := a.GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)
	require.Equal(t, first, second, "the same key each time")
	require.Equal(t, keyOf("merod/storage/debug/"+string(a.PeerID())), hex.EncodeToString(first))

	other, err := w.node(t, "1.0.0", release.Debug).GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)
	require.NotEqual(t, first, other, "another peer, another key")

	require.Contains(t, w.logs.String(), `"msg":"key released"`)
	require.NotContains(t, w.logs.String(), hex.EncodeToString(first))
}

// dstack's guest agent goes and comes back: no key meanwhile, the same key after.
func TestThePlatformGoesAndComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	node := w.node(t, "1.0.0", release.Debug)
	before, err := node.GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)

	w.guest.server.Close()
	_, err = node.GetKey(t.Context(), w.url, transportOf(w))
	var refused *agent.Refused
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusInternalServerError, refused.Status)
	require.Equal(t, wire.KeyDerivationFailed, refused.Tag)
	require.Equal(t, "alive", health(t, w).Status)

	t.Cleanup(w.guest.listen(t).Close)
	after, err := node.GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestQuoteOfVersion5(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	td := w.platform.NewTD(nodeMRTD("1.0.0"))
	for i, e := range nodeEvents("1.0.0") {
		require.NoError(t, td.Extend(i, e))
	}
	_, err := agentOver(t, td, release.Debug, 5).GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)
}

func TestForeignRootIsSaidAloud(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := health(t, w)
	require.Contains(t, h.Warning, "not Intel's")
	require.Len(t, h.TDXRootSHA256, 64)
	_, err := w.node(t, "1.0.0", release.Debug).GetKey(t.Context(), w.url, transportOf(w))
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(w.logs.String()), "\n") {
		require.Contains(t, line, "not Intel's")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	w := idle(t, nil)
	h := health(t, w)
	require.False(t, h.PolicyReady)
	require.Equal(t, "the policy is being fetched", h.PolicyReason)
	require.NoError(t, w.service.LoadPolicy(t.Context()))
	h = health(t, w)
	require.True(t, h.PolicyReady)
	require.Empty(t, h.PolicyReason)
	require.Len(t, h.PolicySHA256, 64)
	require.Equal(t, []string{"alive", "mero-kms-phala", "1.2.0", "debug"},
		[]string{h.Status, h.Service, h.Version, h.Profile})
}

func TestProfilesAreIsolated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *policies.Policy) { *p = *policyFor(nodeRegisters("1.0.0", release.LockedReadOnly)) })
	_, err := w.node(t, "1.0.0", release.Debug).GetKey(t.Context(), w.url, transportOf(w))
	var no *agent.Refused
	require.ErrorAs(t, err, &no)
	require.Equal(t, http.StatusForbidden, no.Status)
	require.Equal(t, wire.PolicyViolation, no.Tag)
	require.Contains(t, no.Details, "rtmr3")
	require.Contains(t, no.Details, "mero-tee-v1.0.0", "the nearest tuple is named")
}

func TestPolicyNotReadyInACandidate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *policies.Policy) {
		p.Status, p.KMSVersion.Candidate = policies.NotReady, 1
	})
	require.Equal(t, "policy_not_ready: MRTD and RTMR values are not enforced", health(t, w).PolicyReason)
	a := w.node(t, "7.7.7", release.LockedReadOnly)
	for range 2 {
		_, err := a.GetKey(t.Context(), w.url, transportOf(w))
		require.NoError(t, err, "all MRTD/RTMR values are accepted")
	}
	require.Equal(t, 2, strings.Count(w.logs.String(), `"msg":"key requested; policy_not_ready`),
		"a warning on every key request")

	stale := newWorld(t, func(p *policies.Policy) { p.Status, p.KMSVersion.Candidate = policies.NotReady, 1 })
	stale.pcs.Change(outOfDate)
	_, err := stale.node(t, "7.7.7", release.Debug).GetKey(t.Context(), stale.url, transportOf(stale))
	// the TCB list is an operator's choice and stays in force
	requireRefused(t, err, http.StatusForbidden, wire.PolicyViolation)
}

func TestPolicyNotReadyInAStableVersion(t *testing.T) {
	t.Parallel()
	w := idle(t, func(p *policies.Policy) { p.Status = policies.NotReady })
	ctx := hang.Context(t) // were it retried, it would be retried forever
	err := w.service.LoadPolicy(ctx)
	require.ErrorContains(t, err, "policy_not_ready")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.False(t, health(t, w).PolicyReady)
}

func TestNothingWithoutAPolicyButAttest(t *testing.T) {
	t.Parallel()
	w := idle(t, nil)
	a := w.node(t, "1.0.0", release.Debug)
	_, err := a.GetKey(t.Context(), w.url, transportOf(w))
	requireRefused(t, err, http.StatusServiceUnavailable, wire.PolicyNotReady)

	c := wire.KeyRequest{PeerID: string(a.PeerID()), ChallengeID: strings.Repeat("0", 32)}
	status, said := post(t, w.url+"/get-key", c)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, wire.PolicyNotReady, said.Error)

	status, _ = post(t, w.url+"/attest", wire.AttestRequest{NonceB64: base64.StdEncoding.EncodeToString(make([]byte, 32))})
	require.Equal(t, http.StatusOK, status)
}

func requireRefused(t *testing.T, err error, status int, tag string) {
	t.Helper()
	var no *agent.Refused
	require.ErrorAs(t, err, &no)
	require.Equal(t, status, no.Status, no.Error())
	require.Equal(t, tag, no.Tag, no.Error())
}
