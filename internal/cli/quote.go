package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/policies"
)

// maxEvidence bounds a file with a quote, an event log or an image's record, in bytes.
const maxEvidence = 4 << 20

// Question is what somebody wants to know of a quote. All but File may be empty.
type Question struct {
	File     string // the quote itself, as bytes, hex or base64; or JSON that has it
	EventLog string // a file with its event log, where that is not in the JSON
	Record   string // an image's record: the quote must be of a boot of that image
	Policy   string // a released policy: it must admit the quote's machine
}

// ExplainQuote writes what a quote and its event log say, for people, and then
// verifies the quote. JSON is that with which dstack's guest agent or a key
// service gave it, event log included.
func ExplainQuote(ctx context.Context, w io.Writer, ask Question) error {
	policy, err := readPolicyFile(ask.Policy)
	if err != nil {
		return err
	}
	raw, log, err := readQuote(ask.File, ask.EventLog)
	if err != nil {
		return err
	}
	q, err := tdx.ParseQuote(raw)
	if err != nil {
		return &fault.Error{Code: fault.Verification, Message: "the quote cannot be read", Err: err}
	}
	events, err := readEvents(log)
	if err != nil {
		return &fault.Error{Code: fault.Verification, Message: "the event log cannot be read", Err: err}
	}
	if err := tdx.Explain(w, q, events); err != nil {
		return &fault.Error{Code: fault.Verification, Message: "the quote is not explained", Err: err}
	}
	if err := ofImage(ask.Record, q, events); err != nil {
		return err
	}
	return operate(ctx, func(o *operator) error {
		verdict, err := o.genuine(ctx, raw, q)
		if err != nil || policy == nil {
			return err
		}
		return o.admitted(verdict, policy)
	})
}

// readPolicyFile reads a released policy; none when nobody asks.
func readPolicyFile(name string) (*policies.Policy, error) {
	if name == "" {
		return nil, nil
	}
	data, err := readEvidence(name)
	if err != nil {
		return nil, err
	}
	return policies.Decode(data)
}

// admitted is what a key service with this policy would say today.
func (o *operator) admitted(verdict *tdx.Verdict, p *policies.Policy) error {
	if err := p.Admits(verdict.Registers, tcb.Of(verdict), time.Now()); err != nil {
		return &fault.Error{Code: fault.Verification, Message: "the policy of " + string(p.Profile) + " does not admit it",
			Err: err}
	}
	if p.NotReady() {
		o.console.Warnf("the policy of %s is policy_not_ready: it admits any registers", p.Profile)
		return nil
	}
	o.console.Infof("the policy of %s admits it", p.Profile)
	return nil
}

// ofImage says whether quote and log, which replays to it, are of a boot of the
// image whose record is in the file of that name; empty: nobody asks.
func ofImage(name string, q *tdx.Quote, events []tdx.Event) error {
	if name == "" {
		return nil
	}
	data, err := readEvidence(name)
	if err != nil {
		return err
	}
	r, err := image.Decode(data)
	if err != nil {
		return err
	}
	if err := (&evidence.Observation{Events: events}).BootOf(r); err != nil {
		return err
	}
	if want := tdx.ProfileRTMR3(string(r.Profile)); q.Registers.RTMR3 != want {
		return fault.Mismatch("RTMR3 is not that of profile "+string(r.Profile), want.String(), q.Registers.RTMR3.String())
	}
	return nil
}

// genuine says whether the quote is of TDX hardware, and with which TCB status.
func (o *operator) genuine(ctx context.Context, raw []byte, q *tdx.Quote) (*tdx.Verdict, error) {
	v, err := o.env.Verifier()
	if err != nil {
		return nil, err
	}
	verdict, err := v.Verify(ctx, raw, q.ReportData)
	switch {
	case errors.Is(err, tdx.ErrCollateral), errors.As(err, new(*tdx.Unrated)):
		return nil, &fault.Error{Code: fault.General, Message: "the quote cannot be judged", Err: err}
	case err != nil:
		return nil, &fault.Error{Code: fault.Verification, Message: "the quote is not believed", Err: err}
	}
	o.console.Infof("a genuine quote, TCB status %s; nothing here says when it was made, or for whom%s", verdict.TCB,
		o.banner())
	return verdict, nil
}

// readQuote finds quote and event log, which may be in a file of its own.
func readQuote(name, eventLog string) (raw, log []byte, err error) {
	data, err := readEvidence(name)
	if err != nil {
		return nil, nil, err
	}
	if raw, log, err = unwrap(data); err != nil {
		return nil, nil, &fault.Error{Code: fault.Usage, Message: name + " has no quote", Err: err,
			Expected: "a quote as bytes, hex or base64, or JSON with quote or quoteB64"}
	}
	if eventLog != "" {
		log, err = readEvidence(eventLog)
	}
	return raw, log, err
}

func readEvidence(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "cannot read the evidence", Err: err}
	}
	defer f.Close()
	return file.ReadAll(f, maxEvidence)
}

// unwrap takes quote and event log out of an answer of dstack's guest agent
// (hex, and JSON in a string) or of a key service (base64, and JSON). What is no
// JSON has no event log.
func unwrap(data []byte) (raw, log []byte, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		raw, err = plainQuote(data)
		return raw, nil, err
	}
	var answer struct {
		Quote    string `json:"quote"`
		EventLog string `json:"event_log"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, nil, err
	}
	if answer.Quote != "" {
		raw, err = hex.DecodeString(answer.Quote)
		return raw, []byte(answer.EventLog), err
	}
	return unwrapService(data)
}

// plainQuote is a quote as its bytes, or as people paste them: hex, with 0x or
// without, or base64, broken into lines or not. A quote's own bytes are no text:
// they begin with the version, whose second byte is zero.
func plainQuote(data []byte) ([]byte, error) {
	if bytes.ContainsFunc(data, func(r rune) bool { return r > '~' || r < ' ' && !unicode.IsSpace(r) }) {
		return data, nil
	}
	text := strings.Join(strings.Fields(string(data)), "")
	if raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x")); err == nil && len(raw) > 0 {
		return raw, nil
	}
	if raw, err := base64.StdEncoding.Strict().DecodeString(text); err == nil && len(raw) > 0 {
		return raw, nil
	}
	return nil, errors.New("text that is neither hex nor base64")
}

func unwrapService(data []byte) (raw, log []byte, err error) {
	var answer struct {
		Quote    []byte          `json:"quoteB64"`
		EventLog json.RawMessage `json:"eventLog"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, nil, err
	}
	if len(answer.Quote) == 0 {
		return nil, nil, &fault.Error{Code: fault.Usage, Message: "no member quote or quoteB64"}
	}
	return answer.Quote, answer.EventLog, nil
}

// readEvents reads a log of either kind; none is nil.
func readEvents(log []byte) ([]tdx.Event, error) {
	if len(log) == 0 {
		return nil, nil
	}
	if bytes.HasPrefix(bytes.TrimSpace(log), []byte("[")) {
		return tdx.ParseDstackLog(log)
	}
	return tdx.ParseCCEL(log)
}
