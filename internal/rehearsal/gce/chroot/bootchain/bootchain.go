// Package bootchain is the measured boot of the rehearsal's cloud.
//
// Its promise: MRTD and the VM's shape in RTMR0 are the platform's, the same
// for a machine that runs from a disk and for a simulated image; all else that
// a boot measures is its caller's.
package bootchain

import (
	"crypto/sha512"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// evIPL is EV_IPL, the event type with which shim and GRUB measure what they load.
const evIPL = 0x0000000d

// Event is one measurement of the boot chain: the digest of its text extends the RTMR.
type Event struct {
	RTMR int
	Text string
}

// Events are what the boot chain measures, in its order.
type Events []Event

// Shape is the first event of every boot.
func Shape() Event { return Event{0, "rehearsal VM shape c3-standard-4, secure boot off"} }

// firmware is MRTD, the same on every machine of the cloud.
func firmware() tdx.Register { return sha512.Sum384([]byte("rehearsal GCP firmware")) }

// Boot measures the events into a new TD.
func (e Events) Boot(p *tdxsim.Platform, options ...tdxsim.TDOption) (*tdxsim.TD, *tdxsim.EventLog, error) {
	td := p.NewTD(firmware(), options...)
	log := tdxsim.NewEventLog(td)
	for _, event := range e {
		if err := log.Measure(event.RTMR, evIPL, []byte(event.Text)); err != nil {
			return nil, nil, err
		}
	}
	return td, log, nil
}
