package tdx

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The event types that matter to a replay; all others only carry a digest.
const (
	NoActionEvent uint32 = 0x00000003 // EV_NO_ACTION: logged, never extended
	RuntimeEvent  uint32 = 0x08000001 // dstack's: an event of the running system, in RTMR3
)

// systemReady ends what dstack itself measured; later events are the application's word.
const systemReady = "system-ready"

// Event is one line of an event log. It is a claim until its log was replayed
// to the register of a verified quote.
type Event struct {
	RTMR    int // 0 to 3; -1 for an event of MRTD
	Type    uint32
	Digest  Register
	Name    string // of a runtime event
	Payload []byte
}

// RuntimeDigest is SHA384(le32(0x08000001) ":" name ":" payload), what dstack
// extends RTMR3 with.
func RuntimeDigest(name string, payload []byte) Register {
	b := binary.LittleEndian.AppendUint32(nil, RuntimeEvent)
	b = append(append(append(b, ':'), name...), ':')
	return sha512.Sum384(append(b, payload...))
}

// Replay computes what the events make of a register that starts at zero.
func Replay(events []Event, rtmr int) Register {
	var r Register
	for _, e := range events {
		if e.RTMR == rtmr && e.Type != NoActionEvent {
			r = r.Extend(e.Digest)
		}
	}
	return r
}

// RuntimeEvents are the events of RTMR3 up to, and without, "system-ready", in
// order: those that the platform measured before any application ran. The log
// must replay to rtmr3, the register of a verified quote; every digest must be
// that of its name and payload, and no name of a trusted event may come twice.
func RuntimeEvents(log []Event, rtmr3 Register) ([]Event, error) {
	if got := Replay(log, 3); got != rtmr3 {
		return nil, fmt.Errorf("event log replays to RTMR3 %s, the quote has %s", got, rtmr3)
	}
	var trusted []Event
	ready, seen := false, map[string]bool{}
	for _, e := range log {
		if e.RTMR != 3 {
			continue
		}
		if err := checkRuntime(e); err != nil {
			return nil, err
		}
		if seen[e.Name] {
			return nil, fmt.Errorf("event %q is in RTMR3 twice", e.Name)
		}
		if ready {
			continue
		}
		seen[e.Name] = true
		if ready = e.Name == systemReady; !ready {
			trusted = append(trusted, e)
		}
	}
	if !ready {
		return nil, errors.New("event log of RTMR3 has no " + systemReady)
	}
	return trusted, nil
}

// checkRuntime also refuses a colon in a name, which would let the log's
// carrier move the border between name and payload under the same digest.
func checkRuntime(e Event) error {
	switch {
	case e.Type != RuntimeEvent:
		return fmt.Errorf("event %.40q in RTMR3 has type %#x, not %#x", e.Name, e.Type, RuntimeEvent)
	case e.Name == "" || strings.Contains(e.Name, ":"):
		return fmt.Errorf("event name %.40q in RTMR3 is empty or has a colon", e.Name)
	case e.Digest != RuntimeDigest(e.Name, e.Payload):
		return fmt.Errorf("event %.40q in RTMR3: its digest is not that of its payload", e.Name)
	}
	return nil
}

const (
	maxLog    = 1 << 20 // bytes; GCP reserves 262,144 for its CCEL, dstack's JSON has about 20,000
	maxEvents = 4096
)

type dstackEvent struct {
	IMR     int    `json:"imr"`
	Type    uint32 `json:"event_type"`
	Digest  string `json:"digest"`
	Name    string `json:"event"`
	Payload string `json:"event_payload"`
}

// ParseDstackLog reads dstack's event log: a JSON array of {imr, event_type,
// digest, event, event_payload} with hex strings. It checks form only: replay next.
func ParseDstackLog(raw []byte) ([]Event, error) {
	if len(raw) > maxLog {
		return nil, fmt.Errorf("event log of %d bytes is larger than %d", len(raw), maxLog)
	}
	var lines []dstackEvent
	if err := json.Unmarshal(raw, &lines); err != nil {
		return nil, fmt.Errorf("event log: %w", err)
	}
	if len(lines) == 0 || len(lines) > maxEvents {
		return nil, fmt.Errorf("event log has %d events, not 1 to %d", len(lines), maxEvents)
	}
	events := make([]Event, len(lines))
	for i, l := range lines {
		e, err := l.event()
		if err != nil {
			return nil, fmt.Errorf("event log, event %d: %w", i, err)
		}
		events[i] = e
	}
	return events, nil
}

func (l dstackEvent) event() (Event, error) {
	if l.IMR < 0 || l.IMR > 3 {
		return Event{}, fmt.Errorf("imr %d is not 0 to 3", l.IMR)
	}
	digest, err := ParseRegister(l.Digest)
	if err != nil {
		return Event{}, err
	}
	payload, err := hex.DecodeString(l.Payload)
	if err != nil {
		return Event{}, fmt.Errorf("payload: %w", err)
	}
	return Event{RTMR: l.IMR, Type: l.Type, Digest: digest, Name: l.Name, Payload: payload}, nil
}

const algSHA384 = 0x000c // TPM_ALG_SHA384

// specID opens the data of a crypto-agile log's first event.
var specID = []byte("Spec ID Event03\x00")

var errShortLog = errors.New("event log ends inside an event")

// ParseCCEL reads the TCG event log that a TD's firmware leaves for ACPI's
// CCEL table: a header event, then TCG_PCR_EVENT2 records with one SHA-384
// digest each, then an unused area of one repeated byte, 0xff or 0. Measurement
// register 0 is MRTD, i is RTMR i-1. It checks form only: replay next.
// (go-eventlog 0.0.2 overflows its stack on event types it does not know, which
// recover cannot stop.)
func ParseCCEL(raw []byte) ([]Event, error) {
	if len(raw) > maxLog {
		return nil, fmt.Errorf("event log of %d bytes is larger than %d", len(raw), maxLog)
	}
	r := &logReader{rest: raw}
	if err := r.header(); err != nil {
		return nil, err
	}
	var events []Event
	for !r.unused() {
		if len(events) == maxEvents {
			return nil, fmt.Errorf("event log has more than %d events", maxEvents)
		}
		e := r.event()
		if r.err != nil {
			return nil, fmt.Errorf("event log, event %d: %w", len(events), r.err)
		}
		events = append(events, e)
	}
	return events, nil
}

// logReader reads little-endian fields and remembers the first error.
type logReader struct {
	rest []byte
	err  error
}

func (r *logReader) take(n uint32) []byte {
	if r.err == nil && uint64(n) > uint64(len(r.rest)) {
		r.err = errShortLog
	}
	if r.err != nil {
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *logReader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *logReader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// unused says that only the area's filling is left. It stops at the first
// other byte: an event has one among its first twelve.
func (r *logReader) unused() bool {
	for _, b := range r.rest {
		if b != r.rest[0] || (b != 0xff && b != 0) {
			return false
		}
	}
	return true
}

// header reads TCG_PCClientPCREvent: index, type, SHA-1 digest, size, data.
func (r *logReader) header() error {
	r.u32()
	kind := r.u32()
	r.take(20)
	data := r.take(r.u32())
	if r.err != nil || kind != NoActionEvent || !bytes.HasPrefix(data, specID) {
		return errors.New("event log does not open with a Spec ID event")
	}
	return nil
}

// event reads TCG_PCR_EVENT2: index, type, digests, size, data.
func (r *logReader) event() Event {
	index := r.u32()
	e := Event{RTMR: int(index) - 1, Type: r.u32()}
	count, alg := r.u32(), r.u16()
	copy(e.Digest[:], r.take(RegisterSize))
	e.Payload = bytes.Clone(r.take(r.u32()))
	if r.err == nil && (index > 4 || count != 1 || alg != algSHA384) {
		r.err = fmt.Errorf("register %d with %d digests of algorithm %#x, not one SHA-384 in 0 to 4", index, count, alg)
	}
	return e
}
