package agent_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

const peerID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

// full is a report with everything that may be in one.
func full() *agent.Report {
	refused := agent.VisitResult{Name: "b", URL: "https://b"}
	refused.Fail(&fault.Error{Code: fault.Verification, Message: "no key",
		Err: &agent.Refused{Path: "/get-key", Status: 403, Tag: wire.PolicyViolation, Details: "rtmr2"}})
	r := &agent.Report{Profile: release.Debug, PeerID: peerID, Nonce: strings.Repeat("5a", 32), Quote: []byte("quote"),
		EventLog: []byte("log"),
		Visits: []agent.VisitResult{{Name: "a", URL: "https://a", Verified: true, TCB: "UpToDate",
			Registers: &tdx.Registers{MRTD: tdx.Register{1}},
			Nonce:     make([]byte, 32), Quote: []byte("q"), KeyReleased: true, KeySame: true, KeyOwn: true}, refused}}
	r.Fail(errors.New("an operator's visit"))
	return r
}

func TestReportRoundTrip(t *testing.T) {
	t.Parallel()
	early := &agent.Report{Profile: release.Debug}
	early.Fail(errors.New("no TDX"))
	for name, r := range map[string]*agent.Report{"full": full(), "failed early": early} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := r.Encode()
			require.NoError(t, err)
			again, err := agent.DecodeReport(data)
			require.NoError(t, err)
			require.Equal(t, r, again)
		})
	}
}

func TestVisitsOfAReport(t *testing.T) {
	t.Parallel()
	r := full()
	good, err := r.Visit("a")
	require.NoError(t, err)
	require.NoError(t, good.Err())
	bad, err := r.Visit("b")
	require.NoError(t, err)
	var refused *agent.Refused
	require.ErrorAs(t, bad.Err(), &refused)
	require.Equal(t, 403, refused.Status)
	require.Equal(t, fault.Verification, fault.CodeOf(bad.Err()))
	_, err = r.Visit("c")
	require.ErrorContains(t, err, "not in the node's report")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

// What a service answers is repeated in a report, and must not break it.
func TestFailMakesTextsFit(t *testing.T) {
	t.Parallel()
	r := full()
	long := "\x1b[2J\n\xff" + strings.Repeat("é", 8<<10)
	r.Visits[1].Fail(&agent.Refused{Path: "/get-key", Status: 403, Tag: long, Details: long})
	r.Fail(&fault.Error{Code: fault.Usage, Message: long, Expected: "x", Got: "y"})
	data, err := r.Encode()
	require.NoError(t, err)
	_, err = agent.DecodeReport(data)
	require.NoError(t, err)
	require.NotContains(t, r.Error, "\x1b")
	short := full()
	short.Fail(&fault.Error{Code: fault.Usage, Message: "m", Expected: "x", Got: "y"})
	require.Equal(t, "m (expected x; got y)", short.Error)
}

func TestDecodeReportRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*agent.Report)
		want   string
	}{
		"an unknown profile": {func(r *agent.Report) { r.Profile = "open" }, "unknown profile"},
		"no peer":            {func(r *agent.Report) { r.PeerID = "" }, "peer ID"},
		"a broken peer":      {func(r *agent.Report) { r.PeerID = "x" }, "peer ID"},
		"a short nonce":      {func(r *agent.Report) { r.Nonce = "00" }, "nonce"},
		"a huge quote":       {func(r *agent.Report) { r.Quote = make([]byte, 64<<10+1) }, "65537 bytes"},
		"a huge event log": {func(r *agent.Report) { r.EventLog = make([]byte, agent.MaxEventLog+1) },
			"1048577"},
		"controls in an error":  {func(r *agent.Report) { r.Error = "\x1b[2J" }, "control characters"},
		"a huge error":          {func(r *agent.Report) { r.Error = strings.Repeat("x", 8<<10+1) }, "too long"},
		"an unknown exit code":  {func(r *agent.Report) { r.ExitCode = 77 }, "exit code 77"},
		"success with an error": {func(r *agent.Report) { r.ExitCode = 0 }, "exit code 0"},
		"failure without one":   {func(r *agent.Report) { r.Error = "" }, "exit code 1"},
		"too many visits": {func(r *agent.Report) { r.Visits = make([]agent.VisitResult, 66) },
			"66 visits"},
		"a visit twice":          {func(r *agent.Report) { r.Visits[1].Name = "a" }, "twice"},
		"a visit without a name": {func(r *agent.Report) { r.Visits[0].Name = "" }, "0 characters"},
		"a refusal and success": {func(r *agent.Report) { r.Visits[1].Error, r.Visits[1].ExitCode = "", 0 },
			"refused without an error"},
		"a refusal with control characters": {func(r *agent.Report) { r.Visits[1].Refusal.Details = "\a" },
			"control characters"},
		"a visit's exit code":    {func(r *agent.Report) { r.Visits[0].ExitCode = 10 }, "exit code 10"},
		"a service's huge quote": {func(r *agent.Report) { r.Visits[0].Quote = make([]byte, 64<<10+1) }, "65537 bytes"},
		"a service's long transport key": {func(r *agent.Report) {
			r.Visits[0].TransportKey = make([]byte, 33)
		}, "transport key of 33"},
		"a service's long nonce": {func(r *agent.Report) { r.Visits[0].Nonce = make([]byte, 33) }, "nonce of 33"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := full()
			tc.change(r)
			_, err := r.Encode()
			require.ErrorContains(t, err, tc.want)
		})
	}
	for _, data := range []string{"", "x", "[]", `{"profile":"debug","key":"x"}`, `{"profile":"open"}`} {
		_, err := agent.DecodeReport([]byte(data))
		require.Equal(t, fault.Verification, fault.CodeOf(err), data)
	}
}

func FuzzDecodeReport(f *testing.F) {
	data, err := full().Encode()
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := agent.DecodeReport(data)
		if err != nil {
			return
		}
		again, err := r.Encode()
		require.NoError(t, err)
		_, err = agent.DecodeReport(again)
		require.NoError(t, err)
		_, err = r.Visit("a")
		if err == nil {
			_, err = wire.ParsePeerID(string(r.PeerID))
			require.True(t, err == nil || r.PeerID == "")
		}
	})
}

// Reports over real missions are verified in package mission's and e2e's tests; here is what they would not show.
func TestAReplayedReport(t *testing.T) {
	t.Parallel()
	s, a, want := attest(t, boot())
	old, nonce := agent.NewNonce(), agent.NewNonce()
	quote, err := s.td.Quote(4, wire.NodeReportData(old, a.PeerID()))
	require.NoError(t, err)
	r := &agent.Report{Profile: release.Debug, PeerID: a.PeerID(), Nonce: hex.EncodeToString(nonce[:]), Quote: quote}
	_, err = r.Verify(t.Context(), want.Verifier, release.Debug, nonce)
	require.ErrorIs(t, err, tdx.ErrReportData)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

// Without collateral nothing is decided: that is no verdict about the node.
func TestAReportWithoutCollateral(t *testing.T) {
	t.Parallel()
	s, a, want := attest(t, boot())
	s.pcs.Change(func(k *tdxsim.Faults) { k.Unavailable = true })
	nonce := agent.NewNonce()
	quote, err := s.td.Quote(4, wire.NodeReportData(nonce, a.PeerID()))
	require.NoError(t, err)
	r := &agent.Report{Profile: release.Debug, PeerID: a.PeerID(), Nonce: hex.EncodeToString(nonce[:]), Quote: quote}
	_, err = r.Verify(t.Context(), want.Verifier, release.Debug, nonce)
	require.ErrorIs(t, err, tdx.ErrCollateral)
	require.Equal(t, fault.General, fault.CodeOf(err))
}
