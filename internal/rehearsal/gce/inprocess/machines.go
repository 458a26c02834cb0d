// Package inprocess is the local Compute Engine for tests of what boots VMs there:
// a confidential VM of it runs the agent's own mission in this process, so that
// a VM's whole life takes milliseconds and needs neither root nor chroots.
//
// Its promise: from the instance's attributes to its guest attributes all is
// production's own code, and nothing of a machine runs once Stop has returned.
package inprocess

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/mission"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/node"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// Machines boot disks that hold nothing but the description of a simulated image.
type Machines struct {
	Platform *tdxsim.Platform
	HTTP     *http.Client // of the nodes: reaches key services and collateral
	TDXRoot  [32]byte
	// Start boots an image otherwise; nil: as node.Image.Boot does.
	Start func(node.Image) (*node.Machine, error)
	// Forge changes a report before it leaves the VM; nil: nothing does.
	Forge func(*agent.Report)
}

var _ gce.Machines = (*Machines)(nil)

// imageFile is what a disk holds.
const imageFile = "image.json"

// Unpack makes a disk from an image file.
func (m *Machines) Unpack(_ context.Context, image, disk string) error {
	data, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	return errors.Join(os.Mkdir(disk, 0o755), os.WriteFile(filepath.Join(disk, imageFile), data, 0o600))
}

// Capture makes an image file from a disk.
func (m *Machines) Capture(_ context.Context, disk, image string) error {
	data, err := os.ReadFile(filepath.Join(disk, imageFile))
	if err != nil {
		return err
	}
	return os.WriteFile(image, data, 0o600)
}

// Boot starts the agent of a confidential VM. In any other nothing runs.
func (m *Machines) Boot(ctx context.Context, spec gce.Spec) (gce.Machine, error) {
	ctx, cancel := context.WithCancel(ctx)
	out := &machine{cancel: cancel, done: make(chan struct{})}
	if !spec.Confidential {
		return out, nil
	}
	data, err := os.ReadFile(filepath.Join(spec.Disk, imageFile))
	if err != nil {
		return nil, err
	}
	var image node.Image
	if err := canonical.Unmarshal(data, &image); err != nil {
		return nil, err
	}
	booted, err := m.start(image)
	if err != nil {
		return nil, err
	}
	out.running.Go(func() { m.run(ctx, spec, image, booted) })
	return out, nil
}

func (m *Machines) start(i node.Image) (*node.Machine, error) {
	if m.Start != nil {
		return m.Start(i)
	}
	return i.Boot(m.Platform)
}

// run is the agent's unit: what goes wrong is said on the serial port, as a VM does.
func (m *Machines) run(ctx context.Context, spec gce.Spec, image node.Image, booted *node.Machine) {
	if err := m.report(ctx, spec.Metadata, image, booted); err != nil {
		_, _ = spec.Serial.Write([]byte("mero-agent: " + err.Error() + "\n")) // nobody else to tell
	}
}

func (m *Machines) report(ctx context.Context, metadata string, image node.Image, booted *node.Machine) error {
	server := &guestattr.Metadata{Host: metadata, HTTP: &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}}
	order, err := agent.ReadMission(ctx, server.Attribute)
	if err != nil {
		return err
	}
	inside := mission.Node{Profile: image.Profile, TSM: booted.TSM(), HTTP: m.HTTP, Root: m.TDXRoot, Now: time.Now,
		EventLog: func() ([]byte, error) { return booted.Log.CCEL(), nil }}
	report, _ := inside.Accomplish(ctx, order) // its error is in the report
	if m.Forge != nil {
		m.Forge(report)
	}
	data, err := report.Encode()
	if err != nil {
		return err
	}
	return server.Publish(ctx, guestattr.Namespace, guestattr.ReportName, data)
}

// machine runs until it is stopped, also when its agent has ended.
type machine struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
	done    chan struct{}
}

func (m *machine) Stop() error {
	m.cancel()
	m.running.Wait()
	m.once.Do(func() { close(m.done) })
	return nil
}

func (m *machine) Done() <-chan struct{} { return m.done }
