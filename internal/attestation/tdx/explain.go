package tdx

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/console"
)

// ErrNoReplay says that an event log does not explain the registers of a quote.
var ErrNoReplay = errors.New("the event log does not replay to the quote")

// shown is how many bytes of a payload are shown.
const shown = 256

// Explain writes what a quote states and, register by register, the events of
// its log, for people. A log of dstack and one of firmware (CCEL) are both
// understood; nil has none. It proves nothing: the quote is to be verified
// first. The error wraps ErrNoReplay when the log is not this quote's.
func Explain(w io.Writer, q *Quote, log []Event) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "TDX quote, version %d, debug: %t\n", q.Version, q.Debug())
	if q.Migratable() {
		fmt.Fprintln(out, "  migratable: a TD that the host names may move its memory")
	}
	values := q.Registers.Values()
	for i, name := range RegisterNames() {
		fmt.Fprintf(out, "  %-11s %s\n", name, values[i])
	}
	fmt.Fprintf(out, "  %-11s %x\n", "report data", q.ReportData)
	var failed []string
	for rtmr := range 4 {
		if log != nil && !explainRegister(out, log, rtmr, values[rtmr+1]) {
			failed = append(failed, fmt.Sprintf("RTMR%d", rtmr))
		}
	}
	if _, err := io.WriteString(w, console.Shown(out.String())); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%w: %s", ErrNoReplay, strings.Join(failed, ", "))
	}
	return nil
}

// explainRegister says whether the log's events of a register replay to what was
// quoted. Firmware's log ends before RTMR3, so that one may be without.
func explainRegister(out io.Writer, log []Event, rtmr int, quoted Register) bool {
	var events []Event
	for _, e := range log {
		if e.RTMR == rtmr {
			events = append(events, e)
		}
	}
	got := Replay(events, rtmr)
	switch {
	case len(events) == 0:
		fmt.Fprintf(out, "RTMR%d, no events in this log\n", rtmr)
		return rtmr == 3 || got == quoted
	case got == quoted:
		fmt.Fprintf(out, "RTMR%d, %d events, which replay to the quote\n", rtmr, len(events))
	default:
		fmt.Fprintf(out, "RTMR%d, %d events, which replay to %s and not to the quote\n", rtmr, len(events), got)
	}
	ready := false
	for _, e := range events {
		fmt.Fprintf(out, "  %s\n", e.explain(ready))
		ready = ready || e.Name == systemReady && e.Type == RuntimeEvent
	}
	return got == quoted
}

// explain is one event in words. Behind system-ready, they are the application's.
func (e Event) explain(ready bool) string {
	if e.Type == NoActionEvent {
		return "not extended"
	}
	if e.Type == RuntimeEvent && checkRuntime(e) == nil { // else its words are the log's, and not those that were measured
		line := strings.TrimRight(fmt.Sprintf("%-17s %s", plain([]byte(e.Name)), plain(e.Payload)), " ")
		if ready {
			line += " (the application's word)"
		}
		return line
	}
	return fmt.Sprintf("%s  %s", e.Digest, e.Describe())
}

// plain is what an event carries, as it may be shown: text when all of it is
// printable ASCII and it has not the length of an id or a digest, else hex.
func plain(b []byte) string {
	more := ""
	if len(b) > shown {
		b, more = b[:shown], "…"
	}
	text := !slices.Contains([]int{20, 32, 48}, len(b)) &&
		!bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r > '~' })
	if text {
		return string(b) + more
	}
	return hex.EncodeToString(b) + more
}
