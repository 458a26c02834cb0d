package rehearsal

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	compute "google.golang.org/api/compute/v1"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/node/vm"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
	"github.com/calimero-network/mero-tee/internal/rehearsal/node"
	"github.com/calimero-network/mero-tee/internal/release"
)

// What the repository's variables would say of Google Cloud.
const (
	cloudProject = "mero-rehearsal"
	cloudZone    = "us-central1-a"
	imageFamily  = "mero-tee"
)

// startCloud answers for Compute Engine from the first request on: a release of
// the key service with simulated nodes has no use for it.
func (w *World) startCloud(ctx context.Context) error {
	cfg := w.Env.Config
	cfg.GCPProject, cfg.GCPZone, cfg.GCPFamily = cmp.Or(cfg.GCPProject, cloudProject), cmp.Or(cfg.GCPZone, cloudZone), cmp.Or(cfg.GCPFamily, imageFamily)
	w.cloud = sync.OnceValues(func() (*local.Server, error) { return w.openCloud(ctx) })
	w.base = sync.OnceValue(func() error { return w.importBase(ctx) })
	api := func() (http.Handler, error) { return w.cloud() }
	for _, host := range local.Hosts() {
		if err := w.Network.HandleLazy(host, api); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) openCloud(ctx context.Context) (*local.Server, error) {
	proxy, err := w.Network.Proxy()
	if err != nil {
		return nil, err
	}
	state := filepath.Join(w.State, "gce")
	host, err := chroot.Open(ctx, chroot.Options{Dir: filepath.Join(state, "machines"), TDX: w.platform, Proxy: proxy})
	if err != nil {
		return nil, err
	}
	w.closing(host.Close)
	if w.sshPort, err = freePort(); err != nil {
		return nil, err
	}
	s, err := local.New(local.Options{State: state, Project: w.Env.Config.GCPProject, Zone: w.Env.Config.GCPZone,
		Hosts: machines{host}, SSHPort: w.sshPort, Now: time.Now})
	if err != nil {
		return nil, err
	}
	w.closing(s.Close)
	return s, nil
}

// freePort is one that build VMs can all use, each on an address of its own.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// importBase puts the pinned base image into the project where builds look for
// it: this machine's own distribution under the pin's name, which says so.
func (w *World) importBase(ctx context.Context) error {
	pin, err := packer.ReadBase(w.Env.Root)
	if err != nil {
		return err
	}
	s, err := w.cloud()
	if err != nil {
		return err
	}
	base, err := chroot.MakeBase(ctx, func(line string) { w.console.Infof("rehearsal: %s", line) })
	if err != nil {
		return err
	}
	w.console.Infof("rehearsal: %s stands for %s", base.Description, pin.Image)
	features := []*compute.GuestOsFeature{{Type: "UEFI_COMPATIBLE"}, {Type: "GVNIC"}, {Type: "TDX_CAPABLE"}}
	return s.Import(ctx, pin.Project, &compute.Image{Name: pin.Image, Family: pin.Family, Description: base.Description, GuestOsFeatures: features}, base.Tar)
}

// cloudClient is the pipeline's own client, with the key that the local project hands out.
func (w *World) cloudClient(ctx context.Context, j journal.Journal) (*gce.Client, error) {
	s, err := w.cloud()
	if err != nil {
		return nil, err
	}
	key, err := s.Key()
	if err != nil {
		return nil, err
	}
	return gce.New(ctx, gce.Options{Project: w.Env.Config.GCPProject, Zone: w.Env.Config.GCPZone, Key: key, Transport: w.Env.Transport, Journal: j})
}

// bootNodes boots what was built as VMs of the local Compute Engine, and
// simulated images, which a key service's rehearsal brings along, in this process.
func (w *World) bootNodes(purpose, run string, j journal.Journal) agent.Nodes {
	vms := &vm.VMs{Project: w.Env.Config.GCPProject, Purpose: purpose, Run: gce.RunLabel(run),
		Client: func(ctx context.Context) (*gce.Client, error) { return w.cloudClient(ctx, j) }}
	return either{vms: vms, simulated: w.simulatedNodes(purpose, run, j)}
}

type either struct{ vms, simulated agent.Nodes }

// Boot chooses by the image's name.
func (e either) Boot(ctx context.Context, published *measurement.Published, p release.Profile, m agent.Mission) (*agent.Report, error) {
	if node.IsSimulated(published, p) {
		return e.simulated.Boot(ctx, published, p, m)
	}
	return e.vms.Boot(ctx, published, p, m)
}

// machines joins the local Compute Engine with what runs its instances.
type machines struct{ *chroot.Host }

// Boot starts an instance's machine.
func (m machines) Boot(ctx context.Context, s local.Spec) (local.Machine, error) {
	return m.Host.Boot(ctx, chroot.Spec(s))
}
