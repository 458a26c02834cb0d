package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// What a running key service has to prove, a line for each.
const (
	answerCheck    = "answer of /attest"
	transportCheck = "transport key"
	quoteCheck     = "quote, over our nonce and the transport key"
	tcbCheck       = "TCB status of its machine"
	registersCheck = "registers MRTD, RTMR0, RTMR1 and RTMR2"
	logCheck       = "event log, against the quote"
	composeCheck   = "compose hash"
)

// InspectKMS makes the checks of VerifyKMS one by one, for people: what rests on one that failed is skipped.
func (a *Agent) InspectKMS(ctx context.Context, url string, want Expectation) check.Results {
	nonce, answer, err := a.attest(ctx, url)
	if err != nil {
		return append(check.Results{check.Of(answerCheck, err)}, unseen("there is no answer",
			transportCheck, quoteCheck, tcbCheck, registersCheck, logCheck, composeCheck)...)
	}
	out := check.Results{check.Pass(answerCheck)}
	quote, transport, err := answered(answer)
	out = append(out, check.Of(transportCheck, err))
	if err != nil {
		return append(out, unseen("the quote holds no key that was told",
			quoteCheck, tcbCheck, registersCheck, logCheck, composeCheck)...)
	}
	verdict, err := want.Verifier.Verify(ctx, quote, attestReportData(nonce, transport))
	err = undecided("the key service's quote", err)
	out = append(out, check.Of(quoteCheck, err))
	if err != nil {
		return append(out, unseen("there is no quote to believe", tcbCheck, registersCheck, logCheck, composeCheck)...)
	}
	return append(append(out, want.platform(verdict)...), want.booted(answer.EventLog, verdict.Registers)...)
}

func unseen(why string, names ...string) (out check.Results) {
	for _, name := range names {
		out = append(out, check.Skip(name, why))
	}
	return out
}

// attest asks for a quote over a fresh nonce.
func (a *Agent) attest(ctx context.Context, url string) (nonce [32]byte, answer wire.AttestResponse, err error) {
	nonce = NewNonce()
	err = a.post(ctx, url, "/attest", wire.AttestRequest{NonceB64: base64.StdEncoding.EncodeToString(nonce[:]),
		TransportKey: true}, &answer)
	return nonce, answer, Unanswered(err, callDeadline)
}

const maxHealth = 64 << 10 // bytes of an answer of /health

// AskHealth reads what the key service at url says of itself. It is the
// service's word: no quote holds it.
func AskHealth(ctx context.Context, client *http.Client, url string) (wire.Health, error) {
	var h wire.Health
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url, "/")+"/health", nil)
	if err != nil {
		return h, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	data, err := file.ReadAll(resp.Body, maxHealth)
	if err != nil {
		return h, fmt.Errorf("/health: %w", err)
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(data, &h) != nil {
		return h, fmt.Errorf("/health answered %s, and not what a key service says", resp.Status)
	}
	return h, nil
}

// Unanswered says in words why something that should be a key service gave no
// answer of one, where the error itself speaks of this program. Whether the service is good is not known then.
func Unanswered(err error, within time.Duration) error {
	var slow interface{ Timeout() bool }
	switch {
	case errors.Is(err, file.ErrTooLarge):
		return &fault.Error{Code: fault.General, Message: "the answer is larger than any of a key service", Err: err,
			Hint: "is this the address of a key service?"}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return &fault.Error{Code: fault.General, Message: "no whole answer within " + within.String(), Err: err,
			Hint: "is this the address of a key service, and does it run?"}
	}
	return err
}

// answered reads the quote and the transport key of an answer.
func answered(answer wire.AttestResponse) (quote []byte, transport wire.PublicKey, err error) {
	if quote, err = base64.StdEncoding.DecodeString(answer.QuoteB64); err != nil {
		return nil, transport, failed("the key service's quote is not base64", err)
	}
	told, err := wire.Bytes(answer.TransportPublicKeyB64)
	if err != nil || len(told) != len(transport) {
		return nil, transport, noTransport(len(told))
	}
	return quote, wire.PublicKey(told), nil
}

func (e Expectation) platform(v *tdx.Verdict) check.Results {
	status := check.Of(tcbCheck+": "+string(v.TCB),
		e.TCB.Judge("the key service's host", e.TCBFile, tcb.Of(v), time.Now()))
	return check.Results{status,
		check.Of(registersCheck, compare("the key service's registers", e.registers(v), v.Registers))}
}

// booted judges what the log says that was measured.
func (e Expectation) booted(log []byte, quoted tdx.Registers) check.Results {
	events, err := bootEvents(log, quoted)
	if err != nil {
		return append(check.Results{check.Of(logCheck, err)}, unseen("the log is not what was measured", composeCheck)...)
	}
	return check.Results{check.Pass(logCheck), check.Of(composeCheck, e.checkCompose(events))}
}

// bootEvents are those of RTMR3 before system-ready, of a log that replays to what was quoted.
func bootEvents(log []byte, quoted tdx.Registers) ([]tdx.Event, error) {
	all, err := tdx.ParseDstackLog(log)
	if err != nil {
		return nil, unread(err)
	}
	events, err := tdx.DstackBoot(all, quoted)
	if err != nil {
		return nil, failed("the key service's event log", err)
	}
	return events, nil
}

func (e Expectation) checkCompose(events []tdx.Event) error {
	measured, err := tdx.Named(events, "compose-hash")
	if err != nil {
		return failed("the key service's event log", err)
	}
	if !bytes.Equal(measured.Payload, e.ComposeHash[:]) {
		return fault.Mismatch("the key service's compose hash",
			hex.EncodeToString(e.ComposeHash[:]), fmt.Sprintf("%x", measured.Payload))
	}
	return nil
}
