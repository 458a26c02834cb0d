package rehearsal

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/node/vm"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
	"github.com/calimero-network/mero-tee/internal/release"
)

// What the repository's variables would say of Google Cloud.
const (
	cloudProject = "mero-rehearsal"
	cloudZone    = "us-central1-a"
	imageFamily  = "mero-tee"
)

// startCloud answers for Compute Engine from the first request on.
func (w *World) startCloud(ctx context.Context) error {
	cfg := w.Env.Config
	cfg.GCPProject, cfg.GCPZone = cmp.Or(cfg.GCPProject, cloudProject), cmp.Or(cfg.GCPZone, cloudZone)
	cfg.GCPFamily = cmp.Or(cfg.GCPFamily, imageFamily)
	w.cloud = sync.OnceValues(w.openCloud)
	var opened *chroot.Host // closed after the server, which stops what runs there
	w.chroots = sync.OnceValues(func() (_ *chroot.Host, err error) {
		opened, err = w.openChroots(ctx)
		return opened, err
	})
	w.closing(func() error {
		if opened == nil {
			return nil
		}
		return opened.Close()
	})
	w.base = sync.OnceValue(func() error { return w.importBase(ctx) })
	api := func() (http.Handler, error) { return w.cloud() }
	for _, host := range local.Hosts() {
		if err := w.Network.HandleLazy(host, api); err != nil {
			return err
		}
	}
	return w.startStorage()
}

// startStorage answers for the bucket in which Google endorses the firmware of
// the cloud's machines.
func (w *World) startStorage() error {
	authority, err := storage.OpenAuthority(filepath.Join(w.State, "gce-tcb.pem"))
	if err != nil {
		return err
	}
	w.Env.GoogleRoot = authority.RootSHA256()
	machine, _, err := bootchain.C3().Boot(w.platform, nil)
	if err != nil {
		return err
	}
	w.bucket, err = storage.New(storage.Options{Dir: filepath.Join(w.State, "storage"), Authority: authority,
		Firmware: []tdx.Register{machine.Registers().MRTD}})
	if err != nil {
		return err
	}
	return w.handle(w.bucket, storage.Hosts()...)
}

// Endorsements changes what goes wrong at the bucket of endorsements.
func (w *World) Endorsements(change func(*storage.Faults)) { w.bucket.Change(change) }

func (w *World) openCloud() (_ *local.Server, err error) {
	if w.sshPort, err = freePort(); err != nil {
		return nil, err
	}
	simulated := &inprocess.Host{Platform: w.platform, HTTP: w.Env.Client(), TDXRoot: w.Env.TDXRoot}
	s, err := local.New(local.Options{State: filepath.Join(w.State, "gce"), SSHPort: w.sshPort,
		Project: w.Env.Config.GCPProject, Zone: w.Env.Config.GCPZone, Role: gce.ReleasePermissions(),
		Public: true, Host: &host{simulated, w.chroots}})
	if err != nil {
		return nil, err
	}
	w.closing(s.Close)
	return s, nil
}

// able tries what a release does on this machine, and what fails only after minutes: the key service runs as an
// application; a node release also builds its images, and boots them.
func (w *World) able(ctx context.Context, f release.Family) error {
	if err := dstack.Able(ctx); err != nil || f == release.KMS {
		return err
	}
	_, err := w.chroots()
	return err
}

// openChroots refuses on a machine that cannot run what is built.
func (w *World) openChroots(ctx context.Context) (*chroot.Host, error) {
	proxy, err := w.Network.Proxy()
	if err != nil {
		return nil, err
	}
	return chroot.Open(ctx, chroot.Options{Dir: filepath.Join(w.State, "gce", "machines"), TDX: w.platform, Proxy: proxy})
}

// importBase gives the pinned base image, which Google's public projects must have,
// something to boot: this machine's own distribution, which says so.
func (w *World) importBase(ctx context.Context) error {
	pin, err := packer.ReadBase(w.Env.Root)
	if err != nil {
		return err
	}
	if _, err := w.chroots(); err != nil {
		return err
	}
	s, err := w.cloud()
	if err != nil {
		return err
	}
	if !s.Has(pin.Project, pin.Image) {
		return nil // there is no such image: the build says which ones there are
	}
	base, err := chroot.MakeBase(ctx, func(line string) { w.console.Infof("rehearsal: %s", line) })
	if err != nil {
		return err
	}
	w.console.Infof("rehearsal: %s stands for %s", base.Description, pin.Image)
	return s.Import(pin.Project, &computepb.Image{Name: &pin.Image, Description: &base.Description}, base.Tar)
}

// cloudClient is the client for whoever builds: it refuses where a build could not run.
func (w *World) cloudClient(ctx context.Context, j journal.Journal) (*gce.Client, error) {
	if _, err := w.chroots(); err != nil {
		return nil, err
	}
	return w.gceClient(ctx, j)
}

// ImageFile is where the rehearsal that is kept below dist has the disk of an
// image, if that was built in it.
func ImageFile(dist, project, name string) string {
	return local.ImageFile(filepath.Join(dist, "rehearsal", "gce"), project, name)
}

// gceClient is the pipeline's own client, with the key that the local project hands out.
func (w *World) gceClient(ctx context.Context, j journal.Journal) (*gce.Client, error) {
	s, err := w.cloud()
	if err != nil {
		return nil, err
	}
	return gce.New(ctx, gce.Options{Project: w.Env.Config.GCPProject, Zone: w.Env.Config.GCPZone, Key: s.Key(),
		Transport: w.Env.Transport, Journal: j})
}

// bootNodes boots images as VMs of the local Compute Engine.
func (w *World) bootNodes(purpose, run string, j journal.Journal) agent.Machines {
	return &vm.VMs{Project: w.Env.Config.GCPProject, Purpose: purpose, Run: gce.RunLabel(run),
		Client: func(ctx context.Context) (*gce.Client, error) { return w.gceClient(ctx, j) }}
}

// Simulated makes the simulated node images of a release in the local Compute
// Engine, which boots them in this process; dir is for the program in them. They
// have no labels: nothing that was built, nothing to sweep.
func (w *World) Simulated(version release.Version, dir string) inprocess.Images {
	return inprocess.Images{Version: version, Dir: dir, Import: func(i inprocess.Image) error {
		s, err := w.cloud()
		if err != nil {
			return err
		}
		return i.Import(s, w.Env.Config.GCPProject, nil)
	}}
}

// host runs simulated images in this process, and built ones in chroots, which
// want programs and privileges that a rehearsal of a key service does without.
type host struct {
	simulated *inprocess.Host
	chroots   func() (*chroot.Host, error)
}

// of is the host of an image file or a disk.
func (h *host) of(path string) (local.Host, error) {
	if inprocess.Simulated(path) {
		return h.simulated, nil
	}
	real, err := h.chroots()
	return machines{real}, err
}

// Unpack makes a disk of an image file.
func (h *host) Unpack(ctx context.Context, image, disk string) error {
	on, err := h.of(image)
	if err != nil {
		return err
	}
	return on.Unpack(ctx, image, disk)
}

// Capture makes an image file of a disk.
func (h *host) Capture(ctx context.Context, disk, image string) error {
	on, err := h.of(disk)
	if err != nil {
		return err
	}
	return on.Capture(ctx, disk, image)
}

// Boot starts an instance's machine.
func (h *host) Boot(ctx context.Context, s local.Spec) (local.Machine, error) {
	on, err := h.of(s.Disk)
	if err != nil {
		return nil, err
	}
	return on.Boot(ctx, s)
}

// Remove deletes a disk, which in a chroot's case may hold files of other users.
func (h *host) Remove(ctx context.Context, disk string) error {
	if os.RemoveAll(disk) == nil {
		return nil
	}
	real, err := h.chroots()
	if err != nil {
		return err
	}
	return real.Remove(ctx, disk)
}

// machines are a chroot.Host as the local Compute Engine sees it.
type machines struct{ *chroot.Host }

// Boot starts an instance's machine.
func (m machines) Boot(ctx context.Context, s local.Spec) (local.Machine, error) {
	return m.Host.Boot(ctx, chroot.Spec(s))
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
