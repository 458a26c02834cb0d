// Package bootchain is the measured boot of the rehearsal's cloud.
//
// Its promise: MRTD and RTMR0 are the platform's, the same for a machine that
// runs from a disk and for a simulated image, and RTMR0's events have the form
// of real firmware's; all else that a boot measures is its caller's.
package bootchain

import (
	"crypto/sha512"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// firmware is MRTD, the same on every machine of the cloud.
func firmware() tdx.Register { return sha512.Sum384([]byte("rehearsal GCP firmware")) }

// Boot starts a TD on the machine and extends it by what its firmware measures of
// the machine and then by the events, which are of all that is booted.
func (m Machine) Boot(p *tdxsim.Platform, events []tdx.Event,
	options ...tdxsim.TDOption) (*tdxsim.TD, *tdxsim.EventLog, error) {
	td := p.NewTD(firmware(), options...)
	log := tdxsim.NewEventLog(td)
	for _, event := range append(m.Events(), events...) {
		if err := log.Add(event); err != nil {
			return nil, nil, err
		}
	}
	return td, log, nil
}

// measured is an event of RTMR0: the digest of text, and what the log says.
func measured(kind uint32, text, words string) tdx.Event {
	return tdx.Event{Type: kind, Digest: sha512.Sum384([]byte(text)), Payload: []byte(words)}
}
