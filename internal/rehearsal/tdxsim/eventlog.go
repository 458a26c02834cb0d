package tdxsim

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// EventLog measures into a TD and remembers what. It is safe for concurrent use.
type EventLog struct {
	td      *TD
	options []LogOption
	mu      sync.Mutex
	events  []tdx.Event
}

// LogOption is what a log has beside the form that dstack's get_quote writes
// since 0.5.6, with events of version 1.
type LogOption int

const (
	// Version2 hashes runtime events as JSON, as an application with
	// "event_log_version": 2 has it.
	Version2 LogOption = iota + 1
	// Unstripped is the form before 0.5.6: every event with digest and payload.
	Unstripped
)

// NewEventLog starts an empty log of td.
func NewEventLog(td *TD, options ...LogOption) *EventLog { return &EventLog{td: td, options: options} }

func (l *EventLog) has(o LogOption) bool { return slices.Contains(l.options, o) }

// Measure is what firmware does: it extends RTMR 0 to 3 by SHA384(data).
func (l *EventLog) Measure(rtmr int, kind uint32, data []byte) error {
	return l.Log(rtmr, kind, data, data)
}

// Log is Measure with other words in the log than what was measured.
func (l *EventLog) Log(rtmr int, kind uint32, data, words []byte) error {
	return l.add(tdx.Event{RTMR: rtmr, Type: kind, Digest: sha512.Sum384(data), Payload: bytes.Clone(words)})
}

// runtimeEvent is DSTACK_RUNTIME_EVENT_TYPE of cc-eventlog.
const runtimeEvent = 0x08000001

// Emit is what dstack does: it extends RTMR3 by a named runtime event.
func (l *EventLog) Emit(name string, payload []byte) error {
	e := tdx.Event{RTMR: 3, Type: runtimeEvent, Name: name, Payload: bytes.Clone(payload)}
	e.Digest = sha512.Sum384(l.preimage(e))
	return l.add(e)
}

// preimage is what the digest of a runtime event is of: le32(type) ":" name ":" payload,
// and in version 2 JSON with sorted keys and no white space. Go's JSON is the
// canonical form for the names that dstack has.
func (l *EventLog) preimage(e tdx.Event) []byte {
	if !l.has(Version2) {
		return join(le32(runtimeEvent), []byte(":"), []byte(e.Name), []byte(":"), e.Payload)
	}
	text, _ := json.Marshal(struct { // never fails: two strings and a number
		Name    string `json:"name"`
		Payload string `json:"payload"`
		Type    uint32 `json:"type"`
	}{e.Name, hex.EncodeToString(e.Payload), e.Type})
	return text
}

// Add extends the TD by an event's digest.
func (l *EventLog) Add(e tdx.Event) error { return l.add(e) }

func (l *EventLog) add(e tdx.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.td.Extend(e.RTMR, e.Digest); err != nil {
		return err
	}
	l.events = append(l.events, e)
	return nil
}

func (l *EventLog) snapshot() []tdx.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// dstackLine is one event as dstack's guest agent writes it.
type dstackLine struct {
	IMR      int    `json:"imr"`
	Type     uint32 `json:"event_type"`
	Digest   string `json:"digest"`
	Name     string `json:"event"`
	Payload  string `json:"event_payload"`
	Version  int    `json:"version,omitempty"`
	Preimage string `json:"preimage,omitempty"`
}

// Dstack is the log as dstack's guest agent returns it, in JSON. Unless it is
// Unstripped, a runtime event has no digest and a boot event no payload.
func (l *EventLog) Dstack() ([]byte, error) {
	lines := []dstackLine{}
	for _, e := range l.snapshot() {
		line := dstackLine{IMR: e.RTMR, Type: e.Type, Digest: e.Digest.String(), Name: e.Name,
			Payload: hex.EncodeToString(e.Payload)}
		runtime := e.Type == runtimeEvent
		if runtime && l.has(Version2) {
			line.Version, line.Preimage = 2, hex.EncodeToString(l.preimage(e))
		}
		switch {
		case l.has(Unstripped):
		case runtime:
			line.Digest = ""
		default:
			line.Payload = ""
		}
		lines = append(lines, line)
	}
	return json.Marshal(lines)
}

// ccelUnused is how much of its area the simulated firmware leaves unused.
const ccelUnused = 4096

// CCEL is the log as firmware leaves it in memory, in the TCG's crypto-agile format.
func (l *EventLog) CCEL() []byte {
	const noAction, sha384 = 3, 0x000c
	spec := join([]byte("Spec ID Event03\x00"), le32(0), []byte{0, 2, 0, 2}, le32(1), le16(sha384), le16(48), []byte{0})
	parts := [][]byte{le32(0), le32(noAction), make([]byte, 20), le32(len(spec)), spec}
	for _, e := range l.snapshot() {
		parts = append(parts, le32(e.RTMR+1), le32(int(e.Type)), le32(1), le16(sha384), e.Digest[:], le32(len(e.Payload)),
			e.Payload)
	}
	return join(append(parts, bytes.Repeat([]byte{0xff}, ccelUnused))...)
}
