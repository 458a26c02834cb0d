package tdxsim

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

const (
	attributeSEPTVEDisable = 1 << 28
	xfam                   = 0x000602e7
)

// TD is one simulated trust domain. It is safe for concurrent use.
type TD struct {
	platform   *Platform
	attributes uint64
	mrtd       tdx.Register
	mu         sync.Mutex
	rtmr       [4]tdx.Register
}

// TDOption is an attribute that a TD has beside those of every production TD.
type TDOption uint64

// Debug opens the TD to its host.
const Debug TDOption = 1 << 0

// NewTD boots a TD: MRTD is fixed, the RTMRs start at zero.
func (m *Platform) NewTD(mrtd tdx.Register, options ...TDOption) *TD {
	t := &TD{platform: m, mrtd: mrtd, attributes: attributeSEPTVEDisable}
	for _, o := range options {
		t.attributes |= uint64(o)
	}
	return t
}

// Extend is TDG.MR.RTMR.EXTEND, rtmr 0 to 3.
func (t *TD) Extend(rtmr int, digest tdx.Register) error {
	if rtmr < 0 || rtmr > 3 {
		return fmt.Errorf("no RTMR%d", rtmr)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rtmr[rtmr] = t.rtmr[rtmr].Extend(digest)
	return nil
}

// Registers are the TD's registers at this moment.
func (t *TD) Registers() tdx.Registers {
	t.mu.Lock()
	defer t.mu.Unlock()
	return tdx.Registers{MRTD: t.mrtd, RTMR0: t.rtmr[0], RTMR1: t.rtmr[1], RTMR2: t.rtmr[2], RTMR3: t.rtmr[3]}
}

// EventLog measures into a TD and remembers what. It is safe for concurrent use.
type EventLog struct {
	td     *TD
	mu     sync.Mutex
	events []tdx.Event
}

// NewEventLog starts an empty log of td.
func NewEventLog(td *TD) *EventLog { return &EventLog{td: td} }

// Measure is what firmware does: it extends RTMR 0 to 3 by SHA384(data).
func (l *EventLog) Measure(rtmr int, kind uint32, data []byte) error {
	return l.add(tdx.Event{RTMR: rtmr, Type: kind, Digest: sha512.Sum384(data), Payload: bytes.Clone(data)})
}

// Emit is what dstack does: it extends RTMR3 by a named runtime event.
func (l *EventLog) Emit(name string, payload []byte) error {
	const runtimeEvent = 0x08000001
	digest := sha512.Sum384(join(le32(runtimeEvent), []byte(":"), []byte(name), []byte(":"), payload))
	return l.add(tdx.Event{RTMR: 3, Type: runtimeEvent, Digest: digest, Name: name, Payload: bytes.Clone(payload)})
}

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

// Dstack is the log as dstack's guest agent returns it, in JSON.
func (l *EventLog) Dstack() ([]byte, error) {
	type line struct {
		IMR     int    `json:"imr"`
		Type    uint32 `json:"event_type"`
		Digest  string `json:"digest"`
		Name    string `json:"event"`
		Payload string `json:"event_payload"`
	}
	lines := []line{}
	for _, e := range l.snapshot() {
		lines = append(lines, line{e.RTMR, e.Type, e.Digest.String(), e.Name, hex.EncodeToString(e.Payload)})
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
