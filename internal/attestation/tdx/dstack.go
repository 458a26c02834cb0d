package tdx

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

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
