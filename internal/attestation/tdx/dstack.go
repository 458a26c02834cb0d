package tdx

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// RuntimeEvent is the type of dstack's own events, of the running system, in RTMR3.
const RuntimeEvent uint32 = 0x08000001

// The names that this package knows; all others are for its callers.
const (
	systemReady = "system-ready" // ends what dstack itself measured; later events are the application's word
	mrKMS       = "mr-kms"       // SHA-256 of the registers of a key management service that dstack asked
)

// ErrUnknownVersion is what an event of a later form of the log ends with: not
// understood, which is not forged.
var ErrUnknownVersion = errors.New("is not one that this program knows (1, 2)")

// preimage1 is le32(0x08000001) ":" name ":" payload.
func preimage1(name string, payload []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, RuntimeEvent)
	b = append(append(append(b, ':'), name...), ':')
	return append(b, payload...)
}

// preimage2 is the canonical JSON (RFC 8785) of {name, payload, type}. It begins
// with a brace and preimage1 with a byte 1, so that no event can pass for
// another of the other version.
func preimage2(name string, payload []byte) []byte {
	return fmt.Appendf(nil, `{"name":%s,"payload":"%x","type":%d}`, canonicalString(name), payload, RuntimeEvent)
}

// canonicalString is a JSON string as RFC 8785, 3.2.2.2 has it: only what must
// be escaped is, in the shortest form. (encoding/json escapes U+2028 as well.)
func canonicalString(s string) string {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch escaped, found := short[r]; {
		case found:
			b.WriteString(escaped)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// preimage is what dstack hashes (SHA-384) to extend RTMR3 for a runtime event.
func (e Event) preimage() ([]byte, error) {
	switch e.Version {
	case 0, 1:
		return preimage1(e.Name, e.Payload), nil
	case 2:
		return preimage2(e.Name, e.Payload), nil
	}
	return nil, fmt.Errorf("version %d %w", e.Version, ErrUnknownVersion)
}

// dstackEvent is cc-eventlog's TdxEvent. get_quote of dstack 0.5.6 and later
// leaves out the digest of a runtime event and the payload of any other.
type dstackEvent struct {
	IMR      int     `json:"imr"`
	Type     uint32  `json:"event_type"`
	Digest   string  `json:"digest"`
	Name     string  `json:"event"`
	Payload  string  `json:"event_payload"`
	Version  *uint32 `json:"version"`  // absent: 1
	Preimage *string `json:"preimage"` // of a runtime event, for those who do not know its version
}

// ParseDstackLog reads dstack's event log: a JSON array of {imr, event_type,
// digest, event, event_payload, version, preimage} with hex strings. The digest
// of a runtime event is computed from its name and payload; what the log says
// about it must agree. Replay next.
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
			return nil, fmt.Errorf("event log, event %d, %.40q of RTMR%d: %w", i, l.Name, l.IMR, err)
		}
		events[i] = e
	}
	return events, nil
}

func (l dstackEvent) event() (Event, error) {
	if l.IMR < 0 || l.IMR > 3 {
		return Event{}, fmt.Errorf("imr %d is not 0 to 3", l.IMR)
	}
	payload, err := hex.DecodeString(l.Payload)
	if err != nil {
		return Event{}, fmt.Errorf("payload: %w", err)
	}
	e := Event{RTMR: l.IMR, Type: l.Type, Name: l.Name, Payload: payload, Version: 1}
	if l.Version != nil {
		if e.Version = int(*l.Version); e.Version != 1 && e.Version != 2 {
			return Event{}, fmt.Errorf("version %d %w", e.Version, ErrUnknownVersion)
		}
	}
	if e.Type == RuntimeEvent {
		return l.runtime(e)
	}
	if l.Preimage != nil || e.Version != 1 {
		return Event{}, errors.New("only a runtime event has a version or a preimage")
	}
	if l.Digest == "" {
		return Event{}, fmt.Errorf("it has no digest: of type %#x, only the log itself can say it", e.Type)
	}
	e.Digest, err = ParseRegister(l.Digest)
	return e, err
}

// runtime computes the digest of e and compares it with what the log says.
func (l dstackEvent) runtime(e Event) (Event, error) {
	preimage, err := e.preimage()
	if err != nil {
		return Event{}, err
	}
	e.Digest = sha512.Sum384(preimage)
	if l.Preimage != nil {
		said, err := hex.DecodeString(*l.Preimage)
		if err != nil || !bytes.Equal(said, preimage) {
			return Event{}, errors.New("its preimage is not that of its name and payload")
		}
	}
	if l.Digest == "" {
		return e, nil
	}
	said, err := ParseRegister(l.Digest)
	if err == nil && said != e.Digest {
		err = errors.New("its digest is not that of its payload")
	}
	return e, err
}

// DstackBoot judges a whole log: it must replay to RTMR0 to RTMR3 of a verified
// quote. It returns the RuntimeEvents.
func DstackBoot(log []Event, quoted Registers) ([]Event, error) {
	for rtmr, want := range []Register{quoted.RTMR0, quoted.RTMR1, quoted.RTMR2} {
		if got := Replay(log, rtmr); got != want {
			return nil, fmt.Errorf("event log replays to RTMR%d %s, the quote has %s", rtmr, got, want)
		}
	}
	return RuntimeEvents(log, quoted.RTMR3)
}

// RuntimeEvents are the events of RTMR3 up to, and without, "system-ready", in
// order: those that the platform measured before any application ran. The log
// must replay to rtmr3, the register of a verified quote; every digest must be
// that of its name and payload, and no name of a trusted event may come twice,
// but for mr-kms: dstack measures it for every key management service that
// proved itself, also for one that gave no key.
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
		if seen[e.Name] && (ready || !asksAgain(trusted, e)) {
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

// asksAgain says that e is an mr-kms directly behind another: dstack asks one
// service after the other, and measures nothing between. Elsewhere, a second
// one is as ambiguous as any event that comes twice.
func asksAgain(before []Event, e Event) bool {
	return e.Name == mrKMS && before[len(before)-1].Name == mrKMS
}

// checkRuntime also refuses a colon in a name, which would let the log's
// carrier move the border between name and payload under the same digest.
func checkRuntime(e Event) error {
	preimage, err := e.preimage()
	switch {
	case e.Type != RuntimeEvent:
		return fmt.Errorf("event %.40q in RTMR3 has type %#x, not %#x", e.Name, e.Type, RuntimeEvent)
	case e.Name == "" || strings.Contains(e.Name, ":"):
		return fmt.Errorf("event name %.40q in RTMR3 is empty or has a colon", e.Name)
	case err != nil:
		return fmt.Errorf("event %.40q in RTMR3: %w", e.Name, err)
	case e.Digest != sha512.Sum384(preimage):
		return fmt.Errorf("event %.40q in RTMR3: its digest is not that of its payload", e.Name)
	case e.Name == mrKMS && len(e.Payload) != sha256.Size:
		return fmt.Errorf("event %s in RTMR3 has %d bytes, not a SHA-256", e.Name, len(e.Payload))
	}
	return nil
}

// Named is the one event of that name among the trusted ones.
func Named(trusted []Event, name string) (Event, error) {
	var found []Event
	for _, e := range trusted {
		if e.Name == name {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		return Event{}, fmt.Errorf("%d events %q before %s, not one", len(found), name, systemReady)
	}
	return found[0], nil
}
