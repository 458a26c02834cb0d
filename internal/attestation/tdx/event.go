package tdx

import (
	"crypto/sha512"
	"encoding/binary"
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
