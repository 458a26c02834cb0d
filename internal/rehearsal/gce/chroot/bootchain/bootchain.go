// Package bootchain is the measured boot of the rehearsal's cloud.
//
// Its promise: MRTD and RTMR0 are the platform's, the same for a machine that
// runs from a disk and for a simulated image, and RTMR0's events have the form
// of real firmware's; all else that a boot measures is its caller's.
package bootchain

import (
	"cmp"
	"crypto/sha512"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// evIPL is EV_IPL, the event type with which shim and GRUB measure what they load.
const evIPL = 0x0000000d

// Event is one measurement of the boot chain: the digest of its text extends the RTMR.
type Event struct {
	RTMR   int
	Text   string
	Prefix string // stands before the text in the log and is not measured
	Type   uint32 // 0 means EV_IPL
	Words  string // in the log, where they are not Text
}

// Events are what the boot chain measures, in its order.
type Events []Event

// CommandLine is GRUB's event of the kernel's command line, with what GRUB puts
// before the parameters of /etc/default/grub: the kernel's path and the root.
func CommandLine(parameters string) Event {
	const root = "/vmlinuz root=UUID=6d65726f-7465-6500-0000-72656865617273 ro "
	return Event{RTMR: 2, Text: strings.TrimSuffix(root+parameters, " "), Prefix: "kernel_cmdline: "}
}

// words are what the log has: GRUB's text with a NUL behind it, which it does not measure.
func (e Event) words() []byte {
	switch {
	case e.Words != "":
		return []byte(e.Words)
	case e.Prefix == "":
		return []byte(e.Text)
	}
	return []byte(e.Prefix + e.Text + "\x00")
}

// firmware is MRTD, the same on every machine of the cloud.
func firmware() tdx.Register { return sha512.Sum384([]byte("rehearsal GCP firmware")) }

// Boot measures the events into a new TD.
func (e Events) Boot(p *tdxsim.Platform, options ...tdxsim.TDOption) (*tdxsim.TD, *tdxsim.EventLog, error) {
	td := p.NewTD(firmware(), options...)
	log := tdxsim.NewEventLog(td)
	for _, event := range e {
		if err := log.Log(event.RTMR, cmp.Or(event.Type, evIPL), []byte(event.Text), event.words()); err != nil {
			return nil, nil, err
		}
	}
	return td, log, nil
}
