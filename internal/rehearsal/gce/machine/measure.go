package machine

import (
	"crypto/sha512"
	"os"

	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/tdx"
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

// firmware is MRTD, the same on every machine of the cloud.
func firmware() tdx.Register { return sha512.Sum384([]byte("rehearsal GCP firmware")) }

// Measure says what the boot chain measures of a disk, before anything of it runs.
func Measure(disk string) (events Events, err error) {
	err = inDisk(disk, func(root *os.Root) error {
		loader, err := loader(root)
		if err != nil {
			return err
		}
		kernel, err := kernel(root)
		if err != nil {
			return err
		}
		initrd, err := initrd(root)
		if err != nil {
			return err
		}
		line, err := commandLine(root)
		if err != nil {
			return err
		}
		events = Events{
			{0, "rehearsal VM shape c3-standard-4, secure boot off"},
			{1, "rehearsal shim and loader: " + loader},
			{2, "kernel: " + kernel},
			{2, "initrd: " + initrd},
			{2, "kernel_cmdline: " + line},
		}
		return nil
	})
	return events, err
}

// Registers are those of a TD that booted with the events, before its own code
// extends anything.
func (e Events) Registers() tdx.Registers {
	var rtmr [4]tdx.Register
	for _, event := range e {
		rtmr[event.RTMR] = rtmr[event.RTMR].Extend(sha512.Sum384([]byte(event.Text)))
	}
	return tdx.Registers{MRTD: firmware(), RTMR0: rtmr[0], RTMR1: rtmr[1], RTMR2: rtmr[2], RTMR3: rtmr[3]}
}

// boot measures the events into a new TD.
func (e Events) boot(p *tdxsim.Platform, options ...tdxsim.TDOption) (*tdxsim.TD, *tdxsim.EventLog, error) {
	td := p.NewTD(firmware(), options...)
	log := tdxsim.NewEventLog(td)
	for _, event := range e {
		if err := log.Measure(event.RTMR, evIPL, []byte(event.Text)); err != nil {
			return nil, nil, err
		}
	}
	return td, log, nil
}
