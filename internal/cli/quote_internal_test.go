package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// evidenceFiles are one quote with its event log, in the forms that people have them.
func evidenceFiles(t *testing.T) (w running, raw []byte, write func(name string, content []byte) string) {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("quote"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	w = running{pcs: tdxsim.NewPCS(pki, time.Now, platform), td: platform.NewTD(tdx.Register{1}), root: pki.RootSHA256()}
	w.log = tdxsim.NewEventLog(w.td)
	for i := range 3 {
		require.NoError(t, w.log.Measure(i, 6, []byte{byte(i)}))
	}
	require.NoError(t, w.log.Start(tdxsim.System{ComposeHash: make([]byte, 32)}))
	raw, err = w.td.Quote(4, [64]byte{})
	require.NoError(t, err)
	dir := t.TempDir()
	return w, raw, func(name string, content []byte) string {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, content, 0o600))
		return name
	}
}

func TestReadQuote(t *testing.T) {
	t.Parallel()
	w, quote, write := evidenceFiles(t)
	log, err := w.log.Dstack()
	require.NoError(t, err)
	agent, err := json.Marshal(map[string]string{"quote": hex.EncodeToString(quote), "event_log": string(log)})
	require.NoError(t, err)
	service, err := json.Marshal(map[string]any{"quoteB64": quote, "eventLog": json.RawMessage(log)})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(service, &wire.AttestResponse{}))
	apart := write("log", log)
	for name, tc := range map[string]struct{ file, log string }{
		"the quote and its log":       {write("quote", quote), apart},
		"the guest agent's answer":    {write("agent", agent), ""},
		"the key service's answer":    {write("service", service), ""},
		"an answer, and another file": {write("both", agent), apart},
	} {
		raw, got, err := readQuote(tc.file, tc.log)
		require.NoError(t, err, name)
		require.Equal(t, quote, raw, name)
		require.JSONEq(t, string(log), string(got), name)
		events, err := readEvents(got)
		require.NoError(t, err, name)
		require.Len(t, events, 14, name)
	}
	digits, base := hex.EncodeToString(quote), base64.StdEncoding.EncodeToString(quote)
	for name, text := range map[string]string{"hex": digits, "0x": "0x" + digits + "\n", "base64": base,
		"lines": regexp.MustCompile(`.{76}`).ReplaceAllString(base, "$0\r\n")} {
		raw, log, err := readQuote(write("text", []byte(text)), "")
		require.NoError(t, err, name)
		require.Equal(t, quote, raw, name)
		require.Nil(t, log, name)
	}
	raw, got, err := readQuote(write("alone", quote), "")
	require.NoError(t, err)
	require.Equal(t, quote, raw)
	events, err := readEvents(got)
	require.NoError(t, err)
	require.Nil(t, events)
	events, err = readEvents(w.log.CCEL())
	require.NoError(t, err)
	require.Len(t, events, 14, "firmware's form")

	for _, content := range []string{"{", "{}", `{"quote":"xx"}`, `{"quoteB64":"?"}`, "no quote", "", " \n", "0x",
		"04z00"} {
		_, _, err := readQuote(write("bad", []byte(content)), "")
		require.Equal(t, fault.Usage, fault.CodeOf(err), content)
	}
	_, _, err = readQuote(write("quote", quote), filepath.Join(t.TempDir(), "none"))
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	_, _, err = readQuote(write("huge", make([]byte, maxEvidence+1)), "")
	require.ErrorContains(t, err, "larger than")
}

func TestExplainQuoteRefuses(t *testing.T) {
	t.Parallel()
	w, quote, write := evidenceFiles(t)
	require.NoError(t, w.log.Emit("later", nil))
	log, err := w.log.Dstack()
	require.NoError(t, err)
	for want, tc := range map[string]struct{ quote, log []byte }{
		"the quote cannot be read":     {[]byte("\x04\x00no quote"), log},
		"the event log cannot be read": {quote, []byte("[]")},
		"the quote is not explained":   {quote, log},
	} {
		var out bytes.Buffer
		err := ExplainQuote(t.Context(), &out, Question{File: write("quote", tc.quote), EventLog: write("log", tc.log)})
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Verification, fault.CodeOf(err))
	}
}

// A boot is of the recorded image, event by event, or it is not.
func TestQuoteOfAnImage(t *testing.T) {
	t.Parallel()
	pki, err := tdxsim.NewPKI([]byte("quote"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	booted := inprocess.Image{Version: release.Version{Major: 1}, Profile: release.DebugReadOnly}
	m, err := booted.Boot(platform)
	require.NoError(t, err)
	record := func(i inprocess.Image) string {
		data, err := i.Record("").Encode()
		require.NoError(t, err)
		name := filepath.Join(t.TempDir(), "record.json")
		require.NoError(t, os.WriteFile(name, data, 0o600))
		return name
	}
	events, err := tdx.ParseCCEL(m.Log.CCEL())
	require.NoError(t, err)
	q := &tdx.Quote{Registers: m.TD.Registers()}
	require.NoError(t, ofImage("", q, nil), "nobody asks")
	require.ErrorContains(t, ofImage(record(booted), q, events), "RTMR3 is not that of profile debug-read-only")
	q.Registers.RTMR3 = tdx.ProfileRTMR3("debug-read-only")
	require.NoError(t, ofImage(record(booted), q, events))
	other := booted
	other.Version.Minor = 1
	err = ofImage(record(other), q, events)
	require.ErrorContains(t, err, "not the boot that the image's record predicts")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, ofImage(record(booted), q, nil), "without events of RTMR1")
	_, _, write := evidenceFiles(t)
	require.Equal(t, fault.Verification, fault.CodeOf(ofImage(write("record", []byte("{}")), q, events)))
	require.Equal(t, fault.Usage, fault.CodeOf(ofImage("/nonexistent", q, events)))
}

func TestGenuine(t *testing.T) {
	t.Parallel()
	w, raw, _ := evidenceFiles(t)
	q, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	var out bytes.Buffer
	judge := func(root [32]byte) error {
		o := &operator{console: console.New(&out, false),
			env: &environment.Environment{Settings: environment.Settings{Transport: w, TDXRoot: root}}}
		_, err := o.genuine(t.Context(), raw, q)
		return err
	}
	require.NoError(t, judge(w.root))
	require.Contains(t, out.String(), "a genuine quote, TCB status UpToDate")
	require.Equal(t, fault.Verification, fault.CodeOf(judge([32]byte{1})))
	w.pcs.(*tdxsim.PCS).Change(func(f *tdxsim.Faults) { f.NoLevel = "platform" })
	err = judge(w.root)
	require.ErrorContains(t, err, "cannot be judged")
	require.ErrorContains(t, err, "has no TCB level")
	require.Equal(t, fault.General, fault.CodeOf(err), "genuine, and of no TCB status")
	w.pcs.(*tdxsim.PCS).Change(func(f *tdxsim.Faults) { f.NoLevel, f.Unavailable = "", true })
	err = judge(w.root)
	require.ErrorContains(t, err, "cannot be judged")
	require.Equal(t, fault.General, fault.CodeOf(err))
}

// A policy says what a key service would: admitted, or the nearest tuple and what differs from it.
func TestQuoteUnderAPolicy(t *testing.T) {
	t.Parallel()
	w, _, write := evidenceFiles(t)
	data, err := os.ReadFile("../../policies/testdata/attestation-policy-debug.json")
	require.NoError(t, err)
	p, err := readPolicyFile(write("policy", data))
	require.NoError(t, err)
	var out bytes.Buffer
	o := &operator{console: console.New(&out, false)}
	machine := &tdx.Verdict{Quote: tdx.Quote{Registers: w.td.Registers()}, TCB: "UpToDate"}
	err = o.admitted(machine, p)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "; nearest ")
	machine.Registers = p.Measurements[0].Registers
	require.NoError(t, o.admitted(machine, p))
	require.Contains(t, out.String(), "the policy of debug admits it")
	machine.TCB = "Revoked"
	require.ErrorContains(t, o.admitted(machine, p), "tcb_status Revoked is not allowed")
	none, err := readPolicyFile("")
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = readPolicyFile(write("policy", []byte("{}")))
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}
