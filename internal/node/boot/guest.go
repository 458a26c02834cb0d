package boot

import (
	"cmp"
	"context"
	"crypto/sha512"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/boot/lan"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
)

// guest is one machine with its disk and its network.
type guest struct {
	name     string
	machine  *machine.Machine
	disk     *machine.Disk
	network  *lan.Network
	metadata *lan.Metadata
	phases   []phase
	firmware int    // bytes of the serial port that are the firmware's own
	before   string // what came out of the serial port of the machine that this one goes on from
}

// patience is how long a phase of a boot may take: under TCG, on a host that does
// other things too, a boot takes many minutes. What does not come is seen by
// the check that waits for it.
const patience = 40 * time.Minute

// start makes a machine and lets it begin. The caller closes what it is given.
func (s *session) start(ctx context.Context, name string, c machine.Config, attributes map[string]string) (
	*guest, func(), error,
) {
	folder, err := os.MkdirTemp(s.folder, "m")
	if err != nil {
		return nil, nil, err
	}
	g := &guest{name: name, disk: cmp.Or(c.Disk, machine.NewDisk(s.disk.file, s.disk.size)), network: lan.New()}
	c.Programs, c.KVM, c.Folder, c.Disk, c.Wire, c.MAC = s.programs, s.kvm, folder, g.disk, g.network, lan.MAC
	g.metadata = g.network.ServeMetadata(attributes)
	if g.machine, err = machine.Start(ctx, c); err != nil {
		return nil, nil, &fault.Error{Code: fault.General, Message: "the machine for " + name + " does not start", Err: err}
	}
	s.Console.Infof("%s: begins", name)
	return g, sync.OnceFunc(func() {
		worked, _ := g.machine.Busy() // 0 on a host without /proc
		g.machine.Close()
		s.report.boot(g, worked)
		s.keep(g, folder)
	}), nil
}

// keep puts what a machine left beside the report.
func (s *session) keep(g *guest, folder string) {
	for _, name := range []string{"serial.log", "tpm.log", "screen.ppm"} {
		to := filepath.Join(s.Report, g.name+"-"+name)
		if err := os.MkdirAll(s.Report, 0o755); err != nil {
			return
		}
		_ = os.Rename(filepath.Join(folder, name), to) // not every machine has each
	}
}

// measurements are those of the machine's nth boot, from 0.
func (g *guest) measurements(n int) ([]machine.Measurement, error) {
	boots, err := g.machine.Measured()
	if err != nil || len(boots) <= n {
		return nil, err
	}
	return boots[n], nil
}

// lastWords is what firmware measures when the kernel has taken the machine
// over; nothing of firmware's, the stub's or the kernel's comes after it.
const lastWords = "Exit Boot Services Returned with Success"

// kernel waits until the kernel has taken the machine over, in its nth boot.
func (s *session) kernel(ctx context.Context, g *guest, n int) ([]machine.Measurement, error) {
	last := machine.Measurement{PCR: 5, Digest: tdx.Register(sha512.Sum384([]byte(lastWords)))}
	var measured []machine.Measurement
	err := g.await(ctx, patience, func() (bool, error) {
		var err error
		measured, err = g.measurements(n)
		end := slices.Index(measured, last) + 1
		measured = measured[:end]
		return end > 0, err
	})
	if err != nil {
		return nil, err
	}
	said, err := g.machine.Serial()
	g.firmware = len(said)
	s.say(g, "the kernel has started")
	return measured, err
}

// started waits until the guest runs: it has its address, and nothing more begins.
func (s *session) started(ctx context.Context, g *guest) error {
	if err := s.lease(ctx, g); err != nil {
		return err
	}
	return s.settle(ctx, g)
}

// lease waits until the guest has its address, or has restarted.
func (s *session) lease(ctx context.Context, g *guest) error {
	err := g.await(ctx, patience, func() (bool, error) { return g.network.Leases() > 0 || g.machine.Restarts() > 0, nil })
	if err == nil && g.network.Leases() > 0 {
		s.say(g, "the network is up")
	}
	return err
}

// settle waits until everything that starts has started: the emulated processor
// is idle, and nothing is read from the disk.
func (s *session) settle(ctx context.Context, g *guest) error {
	const still, idle = 10, 0.15 // half seconds; of a processor
	before, quiet := g.effort(), 0
	err := g.await(ctx, patience, func() (bool, error) {
		now := g.effort()
		if now.busy-before.busy < time.Duration(idle*float64(500*time.Millisecond)) && now.pages == before.pages {
			quiet++
		} else {
			quiet = 0
		}
		before = now
		return quiet >= still || g.machine.Restarts() > 0, nil
	})
	if err == nil {
		s.say(g, "everything has started")
	}
	return err
}

// effort is how much a machine has done so far.
type effort struct {
	busy  time.Duration
	pages int
}

func (g *guest) effort() effort {
	busy, err := g.machine.Busy()
	if err != nil { // a host without /proc: the disk alone says it
		busy = 0
	}
	return effort{busy, len(g.disk.Read(0, 1<<62))}
}

// serial is what came out of the serial port since the kernel took over.
func (g *guest) serial() (string, error) {
	said, err := g.machine.Serial()
	return g.before + string(said[min(g.firmware, len(said)):]), err
}
