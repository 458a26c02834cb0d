package tdx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

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
