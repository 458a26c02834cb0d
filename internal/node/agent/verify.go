package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// Expectation is what a key service must prove about itself.
type Expectation struct {
	Verifier    *tdx.Verifier
	Registers   tdx.Registers  // RTMR3 is not compared: dstack measures an instance ID into it
	RTMR3       []tdx.Register // of known instances; empty: any instance of the compose hash
	ComposeHash [32]byte       // SHA-256 of the released app-compose file
	AllowedTCB  []string       // at least one status
}

// KMSReport is what a verified key service proved.
type KMSReport struct {
	Verdict  *tdx.Verdict
	Events   []tdx.Event // of RTMR3, before system-ready
	Nonce    [32]byte    // that the quote answers
	Quote    []byte
	EventLog []byte // dstack's JSON, replayed to the quote's RTMR3
	VMConfig string // dstack's word, unproven
}

// VerifyKMS asks the key service at url for a quote over a fresh nonce and
// checks it against what is expected. A failed check is an error of code
// Verification; an unreachable or refusing service, or absent collateral, is not.
func (a *Agent) VerifyKMS(ctx context.Context, url string, want Expectation) (*KMSReport, error) {
	nonce := NewNonce()
	var answer wire.AttestResponse
	err := a.post(ctx, url, "/attest", wire.AttestRequest{NonceB64: base64.StdEncoding.EncodeToString(nonce[:])}, &answer)
	if err != nil {
		return nil, err
	}
	quote, err := base64.StdEncoding.DecodeString(answer.QuoteB64)
	if err != nil {
		return nil, failed("the key service's quote is not base64", err)
	}
	verdict, err := want.Verifier.Verify(ctx, quote, wire.AttestReportData(nonce, wire.DefaultBinding()))
	if err := undecided("the key service's quote", err); err != nil {
		return nil, err
	}
	if err := want.check(verdict); err != nil {
		return nil, err
	}
	events, err := want.checkEvents(answer.EventLog, verdict.Registers.RTMR3)
	if err != nil {
		return nil, err
	}
	return &KMSReport{Verdict: verdict, Events: events, Nonce: nonce, Quote: quote, EventLog: answer.EventLog, VMConfig: answer.VMConfig}, nil
}

func (e Expectation) check(v *tdx.Verdict) error {
	if !slices.Contains(e.AllowedTCB, string(v.TCB)) {
		return fault.Mismatch("the key service's TCB status", strings.Join(e.AllowedTCB, ", "), string(v.TCB))
	}
	want := e.Registers
	want.RTMR3 = v.Registers.RTMR3
	if len(e.RTMR3) > 0 && !slices.Contains(e.RTMR3, want.RTMR3) {
		want.RTMR3 = e.RTMR3[0]
	}
	return compare("the key service's registers", want, v.Registers)
}

func (e Expectation) checkEvents(log []byte, rtmr3 tdx.Register) ([]tdx.Event, error) {
	all, err := tdx.ParseDstackLog(log)
	if err != nil {
		return nil, failed("the key service's event log", err)
	}
	events, err := tdx.RuntimeEvents(all, rtmr3)
	if err != nil {
		return nil, failed("the key service's event log", err)
	}
	i := slices.IndexFunc(events, func(e tdx.Event) bool { return e.Name == "compose-hash" })
	if i < 0 {
		return nil, fault.Mismatch("the key service's event log", "an event compose-hash before system-ready", "none")
	}
	if !bytes.Equal(events[i].Payload, e.ComposeHash[:]) {
		return nil, fault.Mismatch("the key service's compose hash",
			hex.EncodeToString(e.ComposeHash[:]), fmt.Sprintf("%x", events[i].Payload))
	}
	return events, nil
}

func failed(message string, err error) error {
	return &fault.Error{Code: fault.Verification, Message: message, Err: err}
}
