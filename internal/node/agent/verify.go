package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Expectation is what a key service must prove about itself.
type Expectation struct {
	Verifier    *tdx.Verifier
	Registers   tdx.Registers  // RTMR3 is not compared: dstack measures an instance ID into it
	RTMR3       []tdx.Register // of known instances; empty: any instance of the compose hash
	ComposeHash [32]byte       // SHA-256 of the released app-compose file
	TCB         tcb.List       // what is accepted of the machine under it
	TCBFile     string         // where people change that list
}

// KMSReport is what a verified key service proved.
type KMSReport struct {
	Verdict   *tdx.Verdict
	Transport wire.PublicKey // that keys are sealed with; the quote holds it
	Events    []tdx.Event    // of RTMR3, before system-ready
	Nonce     [32]byte       // that the quote answers
	Quote     []byte
	EventLog  []byte // dstack's JSON, replayed to the quote's RTMR3
	VMConfig  string // dstack's word, unproven
}

// VerifyKMS asks the key service at url for a quote over a fresh nonce and
// checks it against what is expected. A failed check is an error of code
// Verification; an unreachable or refusing service, or absent collateral, is not.
func (a *Agent) VerifyKMS(ctx context.Context, url string, want Expectation) (*KMSReport, error) {
	return a.attested(ctx, url, want, want.check)
}

// ObserveKMS asks as VerifyKMS does, and takes whatever registers and TCB status
// the genuine quote of a service with that compose hash proves: for who wants to
// learn what a platform measures, and trusts it with nothing.
func (a *Agent) ObserveKMS(ctx context.Context, url string, v *tdx.Verifier, composeHash [32]byte) (*KMSReport, error) {
	anything := func(*tdx.Verdict) error { return nil }
	return a.attested(ctx, url, Expectation{Verifier: v, ComposeHash: composeHash}, anything)
}

func (a *Agent) attested(ctx context.Context, url string, want Expectation,
	judge func(*tdx.Verdict) error) (*KMSReport, error) {
	nonce, answer, err := a.attest(ctx, url)
	if err != nil {
		return nil, err
	}
	quote, transport, err := answered(answer)
	if err != nil {
		return nil, err
	}
	verdict, err := want.Verifier.Verify(ctx, quote, attestReportData(nonce, transport))
	if err := undecided("the key service's quote", err); err != nil {
		return nil, err
	}
	if err := judge(verdict); err != nil {
		return nil, err
	}
	events, err := want.checkEvents(answer.EventLog, verdict.Registers)
	if err != nil {
		return nil, err
	}
	return &KMSReport{Verdict: verdict, Transport: transport, Events: events, Nonce: nonce, Quote: quote,
		EventLog: answer.EventLog, VMConfig: answer.VMConfig}, nil
}

// attestReportData is that of a service which answers nonce and tells its transport key.
func attestReportData(nonce [32]byte, transport wire.PublicKey) [64]byte {
	return wire.AttestReportData(nonce, wire.AttestBinding(wire.DefaultBinding(), transport))
}

func noTransport(size int) error {
	return &fault.Error{Code: fault.Verification, Message: "the key service tells no transport key",
		Expected: "32 bytes, which its quote holds", Got: fmt.Sprintf("%d bytes", size),
		Hint: "a service that seals no keys is older than this program: deploy a newer release of it"}
}

func (e Expectation) check(v *tdx.Verdict) error {
	if err := e.TCB.Judge("the key service's host", e.TCBFile, tcb.Of(v), time.Now()); err != nil {
		return err
	}
	return compare("the key service's registers", e.registers(v), v.Registers)
}

// registers are those that are expected of a service with this verdict.
func (e Expectation) registers(v *tdx.Verdict) tdx.Registers {
	want := e.Registers
	want.RTMR3 = v.Registers.RTMR3
	if len(e.RTMR3) > 0 && !slices.Contains(e.RTMR3, want.RTMR3) {
		want.RTMR3 = e.RTMR3[0]
	}
	return want
}

func (e Expectation) checkEvents(log []byte, quoted tdx.Registers) ([]tdx.Event, error) {
	events, err := bootEvents(log, quoted)
	if err != nil {
		return nil, err
	}
	return events, e.checkCompose(events)
}

// unread is the error of a log that is malformed, or of a form that came later
// than this program.
func unread(err error) error {
	out := &fault.Error{Code: fault.Verification, Message: "the key service's event log", Err: err}
	if errors.Is(err, tdx.ErrUnknownVersion) {
		out.Hint = "the service's platform may be newer than this program: look for a newer release of what runs this check"
	}
	return out
}

func failed(message string, err error) error {
	return &fault.Error{Code: fault.Verification, Message: message, Err: err}
}

// Verify checks what a report rests on: a genuine quote over the nonce and the
// peer ID, of a TD that measured the profile and nothing else into RTMR3, and
// an event log that replays to RTMR0, RTMR1 and RTMR2. A failed check has code
// Verification; when the node itself failed, the error has the node's code.
func (r *Report) Verify(ctx context.Context, v *tdx.Verifier, profile release.Profile,
	nonce [32]byte) (*tdx.Verdict, error) {
	if r.Error != "" {
		return nil, &fault.Error{Code: r.ExitCode, Message: "the node says: " + r.Error}
	}
	if r.Profile != profile {
		return nil, fault.Mismatch("the node is of another profile", string(profile), string(r.Profile))
	}
	if want := fmt.Sprintf("%x", nonce); r.Nonce != want {
		return nil, fault.Mismatch("the node's report answers another nonce", want, r.Nonce)
	}
	verdict, err := v.Verify(ctx, r.Quote, wire.NodeReportData(nonce, r.PeerID))
	if err := undecided("the node's quote", err); err != nil {
		return nil, err
	}
	want := verdict.Registers
	want.RTMR3 = tdx.ProfileRTMR3(string(profile))
	if err := compare("RTMR3 is not that of profile "+string(profile), want, verdict.Registers); err != nil {
		return nil, err
	}
	if err := r.replay(verdict.Registers); err != nil {
		return nil, err
	}
	return verdict, nil
}

// replay: the firmware's log ends where the kernel begins, so RTMR3 is not in it.
func (r *Report) replay(quoted tdx.Registers) error {
	events, err := tdx.ParseCCEL(r.EventLog)
	if err != nil {
		return failed("the node's event log", err)
	}
	replayed := quoted
	replayed.RTMR0, replayed.RTMR1, replayed.RTMR2 = tdx.Replay(events, 0), tdx.Replay(events, 1), tdx.Replay(events, 2)
	return compare("the node's event log does not replay to its quote", quoted, replayed)
}

// Verify checks, from outside, that the service which a node says it verified
// proved itself to it: by a genuine quote over the node's nonce and the key that
// seals what it releases, of the very instance whose registers are given.
func (v *VisitResult) Verify(ctx context.Context, verifier *tdx.Verifier, service tdx.Registers) (*tdx.Verdict, error) {
	switch {
	case !v.Verified && v.Error != "":
		return nil, v.Err()
	case !v.Verified || len(v.Nonce) != 32 || len(v.TransportKey) != 32 || v.Registers == nil:
		return nil, fault.Mismatch("the node did not verify the key service",
			"verified, with nonce, transport key and registers", fmt.Sprintf("verified: %t", v.Verified))
	}
	verdict, err := verifier.Verify(ctx, v.Quote, attestReportData([32]byte(v.Nonce), wire.PublicKey(v.TransportKey)))
	if err := undecided("the key service's quote to the node", err); err != nil {
		return nil, err
	}
	if err := compare("the node verified another key service", service, verdict.Registers); err != nil {
		return nil, err
	}
	if err := compare("the node says other registers than it was shown", verdict.Registers, *v.Registers); err != nil {
		return nil, err
	}
	return verdict, nil
}

// compare lists every register that differs.
func compare(message string, want, got tdx.Registers) error {
	var expected, found []string
	for _, d := range want.Compare(got) {
		expected = append(expected, d.Name+" "+d.Want.String())
		found = append(found, d.Name+" "+d.Got.String())
	}
	if len(found) == 0 {
		return nil
	}
	return fault.Mismatch(message, strings.Join(expected, ", "), strings.Join(found, ", "))
}

// undecided is the error of a verification: without collateral, or without a TCB
// level in it, nothing was found wrong, so there is no verdict of code Verification.
func undecided(what string, err error) error {
	var unrated *tdx.Unrated
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tdx.ErrCollateral):
		return fmt.Errorf("%s is undecided: %w", what, err)
	case errors.As(err, &unrated):
		return &fault.Error{Code: fault.General, Message: what + " cannot be judged", Err: err,
			Expected: "a TCB level that the platform reaches",
			Got:      fmt.Sprintf("none in Intel's collateral of evaluation number %d", unrated.EvaluationNumber),
			Hint:     "its signatures are good; the host needs newer firmware (microcode, TDX module), or use another host"}
	}
	return failed(what, err)
}
