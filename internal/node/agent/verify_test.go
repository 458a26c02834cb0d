package agent_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// transport is the services' key.
var transport = wire.NewSealingKey()

var composeHash = sha256.Sum256([]byte("app-compose"))

// attested is a key service's /attest over a simulated TD, with faults.
type attested struct {
	td      *tdxsim.TD
	log     *tdxsim.EventLog
	pcs     *tdxsim.PCS
	stale   bool                             // quotes another nonce
	tells   func(wire.PublicKey) string      // the transport key that is told, in base64; nil: the one that is quoted
	editLog func(log []byte) json.RawMessage // changes the event log on its way
}

// local answers requests of a client in process, whatever their host.
type local struct{ http.Handler }

func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w.Result(), nil
}

type event struct {
	name    string
	payload []byte
}

func boot() []event {
	return []event{{"app-id", composeHash[:20]}, {"compose-hash", composeHash[:]}, {"instance-id", []byte("1")},
		{"system-ready", nil}}
}

func attest(t *testing.T, events []event, options ...tdxsim.TDOption) (*attested, *agent.Agent, agent.Expectation) {
	t.Helper()
	pki, platform := machine(t)
	s := &attested{td: platform.NewTD(sha512.Sum384([]byte("firmware")), options...),
		pcs: tdxsim.NewPCS(pki, time.Now, platform)}
	s.log = tdxsim.NewEventLog(s.td)
	for i := range 3 {
		require.NoError(t, s.log.Measure(i, 6, []byte{byte(i)}))
	}
	for _, e := range events {
		require.NoError(t, s.log.Emit(e.name, e.payload))
	}
	v, err := tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(),
		Collateral: tdx.NewCollateral(&http.Client{Transport: local{s.pcs}})})
	require.NoError(t, err)
	a := newAgent(t, nil)
	a.HTTP = &http.Client{Transport: local{s}}
	return s, a, agent.Expectation{Verifier: v, Registers: s.td.Registers(), ComposeHash: composeHash,
		TCB: tcb.List{AllowedTCBStatus: []string{"UpToDate"}}}
}

func (s *attested) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q wire.AttestRequest
	if r.URL.Path != "/attest" || json.NewDecoder(r.Body).Decode(&q) != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	nonce, _ := base64.StdEncoding.DecodeString(q.NonceB64)
	if s.stale {
		nonce[0] ^= 1
	}
	public := transport.Public()
	binding := wire.AttestBinding(wire.DefaultBinding(), public)
	if !q.TransportKey { // as an older service would
		binding = wire.DefaultBinding()
	}
	raw, _ := s.td.Quote(4, wire.AttestReportData([32]byte(nonce), binding))
	told := base64.StdEncoding.EncodeToString(public[:])
	if s.tells != nil {
		told = s.tells(public)
	}
	log, _ := s.log.Dstack()
	if s.editLog != nil {
		log = s.editLog(log)
	}
	_ = json.NewEncoder(w).Encode(wire.AttestResponse{QuoteB64: base64.StdEncoding.EncodeToString(raw), EventLog: log,
		VMConfig: "{}", TransportPublicKeyB64: told})
}

func TestVerifyKMS(t *testing.T) {
	t.Parallel()
	s, a, want := attest(t, append(boot(), event{"my-own", []byte("x")}))
	want.Registers.RTMR3 = tdx.Register{9}                   // an instance's own: not compared
	want.RTMR3 = []tdx.Register{{1}, s.td.Registers().RTMR3} // unless instances are pinned
	report, err := a.VerifyKMS(t.Context(), "http://kms/", want)
	require.NoError(t, err)
	require.Equal(t, s.td.Registers(), report.Verdict.Registers)
	require.Len(t, report.Events, 3, "events after system-ready are the application's word")
	require.NotEmpty(t, report.Quote)
	require.Equal(t, transport.Public(), report.Transport)
	require.JSONEq(t, "{}", report.VMConfig)
}

// Who observes takes any registers and TCB status, and still nothing but a genuine quote of the compose hash.
func TestObserveKMS(t *testing.T) {
	t.Parallel()
	s, a, want := attest(t, boot())
	s.pcs.Change(func(k *tdxsim.Faults) { k.QE = tdx.OutOfDate })
	report, err := a.ObserveKMS(t.Context(), "http://kms", want.Verifier, composeHash)
	require.NoError(t, err)
	require.Equal(t, s.td.Registers(), report.Verdict.Registers)
	_, err = a.ObserveKMS(t.Context(), "http://kms", want.Verifier, sha256.Sum256([]byte("other")))
	require.ErrorContains(t, err, "compose hash")
	s.stale = true
	_, err = a.ObserveKMS(t.Context(), "http://kms", want.Verifier, composeHash)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

func TestVerifyKMSRefuses(t *testing.T) {
	t.Parallel()
	other := sha256.Sum256([]byte("other"))
	for name, tc := range map[string]struct {
		events []event
		change func(*attested, *agent.Expectation)
		want   string
	}{
		"a recorded answer": {nil, func(s *attested, _ *agent.Expectation) { s.stale = true }, "report data"},
		"no transport key": {nil, func(s *attested, _ *agent.Expectation) {
			s.tells = func(wire.PublicKey) string { return "" }
		}, "tells no transport key"},
		"a short transport key": {nil, func(s *attested, _ *agent.Expectation) {
			s.tells = func(k wire.PublicKey) string { return base64.StdEncoding.EncodeToString(k[:31]) }
		}, "tells no transport key"},
		"another's transport key": {nil, func(s *attested, _ *agent.Expectation) {
			s.tells = func(k wire.PublicKey) string { k[0] ^= 1; return base64.StdEncoding.EncodeToString(k[:]) }
		}, "report data"},
		"TCB out of date": {nil, func(s *attested, _ *agent.Expectation) {
			s.pcs.Change(func(k *tdxsim.Faults) { k.QE = tdx.OutOfDate })
		}, "TCB status"},
		"RTMR3 of no known instance": {nil, func(_ *attested, e *agent.Expectation) { e.RTMR3 = []tdx.Register{{1}, {2}} },
			"registers"},
		"no TCB allowed":        {nil, func(_ *attested, e *agent.Expectation) { e.TCB = tcb.List{} }, "TCB status"},
		"another compose file":  {[]event{{"compose-hash", other[:]}, {"system-ready", nil}}, nil, "compose hash"},
		"no compose hash":       {[]event{{"system-ready", nil}}, nil, "event log"},
		"compose hash too late": {[]event{{"system-ready", nil}, {"compose-hash", composeHash[:]}}, nil, "event log"},
		"compose hash twice": {[]event{{"compose-hash", composeHash[:]}, {"compose-hash", other[:]},
			{"system-ready", nil}}, nil, "twice"},
		"event log of another": {nil, func(s *attested, _ *agent.Expectation) {
			s.editLog = func([]byte) json.RawMessage {
				return json.RawMessage(`[{"imr":3,"event_type":134217729,"digest":"","event":"system-ready","event_payload":""}]`)
			}
		}, "replays to RTMR0"},
		"a boot event less":           {nil, edited(`"imr":1,"event_type":6`, `"imr":2,"event_type":6`), "replays to RTMR1"},
		"a boot event without digest": {nil, edited(sha384(1), ""), `event 1, "" of RTMR1: it has no digest`},
		"a claimed digest": {nil, edited(`"digest":"","event":"compose-hash"`,
			`"digest":"`+sha384(1)+`","event":"compose-hash"`), "its digest is not that of its payload"},
		"a form of tomorrow": {nil, edited(`"event":"app-id"`, `"event":"app-id","version":3`), "version 3"},
		"no event log": {nil, func(s *attested, _ *agent.Expectation) {
			s.editLog = func([]byte) json.RawMessage { return json.RawMessage(`null`) }
		}, "event log has 0 events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.events == nil {
				tc.events = boot()
			}
			s, a, want := attest(t, tc.events)
			if tc.change != nil {
				tc.change(s, &want)
			}
			_, err := a.VerifyKMS(t.Context(), "http://kms", want)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))

			results := a.InspectKMS(t.Context(), "http://kms", want)
			require.Len(t, results, 7)
			require.Equal(t, 1, results.Count(check.Failed), "what rests on it is skipped")
			require.ErrorContains(t, results.Err(), tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
		})
	}
}

// Line by line: all of it, or who could not be asked.
func TestInspectKMS(t *testing.T) {
	t.Parallel()
	_, a, want := attest(t, boot())
	results := a.InspectKMS(t.Context(), "http://kms", want)
	require.NoError(t, results.Err())
	require.Equal(t, 7, results.Count(check.Passed))
	a.HTTP = &http.Client{Transport: local{http.NotFoundHandler()}}
	results = a.InspectKMS(t.Context(), "http://kms", want)
	require.Equal(t, 6, results.Count(check.Skipped))
	require.Equal(t, fault.General, fault.CodeOf(results.Err()), "who did not answer is not called bad")
}

// sha384 is the digest of the boot event of a register.
func sha384(rtmr byte) string { return tdx.Register(sha512.Sum384([]byte{rtmr})).String() }

func edited(old, new string) func(*attested, *agent.Expectation) {
	return func(s *attested, _ *agent.Expectation) {
		s.editLog = func(log []byte) json.RawMessage { return bytes.Replace(log, []byte(old), []byte(new), 1) }
	}
}

func TestVerifyKMSOnANewerPlatform(t *testing.T) {
	t.Parallel()
	s, a, want := attest(t, boot())
	edited(`"event":"app-id"`, `"event":"app-id","version":3`)(s, nil)
	_, err := a.VerifyKMS(t.Context(), "http://kms", want)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Contains(t, f.Hint, "newer")
}

func TestVerifyKMSReportsEveryRegister(t *testing.T) {
	t.Parallel()
	_, a, want := attest(t, boot())
	want.Registers.MRTD[0] ^= 1
	want.Registers.RTMR2[0] ^= 1
	_, err := a.VerifyKMS(t.Context(), "http://kms", want)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Contains(t, f.Got, "mrtd ")
	require.Contains(t, f.Got, ", rtmr2 ")
	require.NotContains(t, f.Got, "rtmr1")
	require.Contains(t, f.Expected, want.Registers.RTMR2.String())
}

func TestVerifyKMSOfADebugTD(t *testing.T) {
	t.Parallel()
	_, a, want := attest(t, boot(), tdxsim.Debug)
	_, err := a.VerifyKMS(t.Context(), "http://kms", want)
	require.ErrorContains(t, err, "debug")
}

func TestVerifyKMSWithoutCollateralIsUndecided(t *testing.T) {
	t.Parallel()
	s, a, want := attest(t, boot())
	s.pcs.Change(func(k *tdxsim.Faults) { k.Unavailable = true })
	_, err := a.VerifyKMS(t.Context(), "http://kms", want)
	require.ErrorIs(t, err, tdx.ErrCollateral)
	require.Equal(t, fault.General, fault.CodeOf(err))
}

func TestVerifyKMSOfAnotherService(t *testing.T) {
	t.Parallel()
	_, a, want := attest(t, boot())
	_, err := a.VerifyKMS(t.Context(), "http://kms/prefix", want)
	var no *agent.Refused
	require.ErrorAs(t, err, &no)
	require.Equal(t, agent.Refused{Path: "/attest", Status: 404, Details: "the body is not the key service's"}, *no)
}
