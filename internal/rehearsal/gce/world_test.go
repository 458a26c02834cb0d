package gce_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	provider "github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

const (
	ours = "rehearsal"
	zone = "us-central1-a"
)

// world is one server on a closed network, with a client on it.
type world struct {
	*testing.T
	base     func() string // a fresh image file
	state    string
	machines *machines
	server   *gce.Server
	client   *http.Client // with credentials
	plain    *http.Client // without

	ahead atomic.Int64 // nanoseconds by which the server's clock is ahead

	mu   sync.Mutex
	seen map[string]bool // methods that answered
}

// later moves the server's clock.
func (w *world) later(d time.Duration) { w.ahead.Add(int64(d)) }

func newWorld(t *testing.T, faults ...gce.Faults) *world { return openWorld(t, t.TempDir(), faults...) }

func openWorld(t *testing.T, state string, faults ...gce.Faults) *world {
	t.Helper()
	return openWorldAs(t, state, nil, faults...)
}

// openWorldAs gives the account a role.
func openWorldAs(t *testing.T, state string, role []string, faults ...gce.Faults) *world {
	t.Helper()
	w := &world{T: t, state: state, machines: newMachines(), seen: map[string]bool{}}
	w.server = newServer(t, gce.Options{State: state, Host: w.machines, Role: role,
		Faults: append(faults, gce.Faults{})[0],
		Now:    func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }})
	w.connect(w.spy(w.server))
	w.base = func() string {
		file := filepath.Join(t.TempDir(), "base.tar")
		require.NoError(t, os.WriteFile(file, []byte("base"), 0o600))
		return file
	}
	require.NoError(t, w.server.Import("ubuntu-os-cloud", &computepb.Image{Name: new("ubuntu-1"), Family: new("ubuntu"),
		DiskSizeGb:        new(int64(10)),
		CreationTimestamp: new("2024-01-01T00:00:00Z"), GuestOsFeatures: features("UEFI_COMPATIBLE", "GVNIC",
			"TDX_CAPABLE")}, w.base()))
	return w
}

// newServer gives every server the same key: making one takes long.
func newServer(t *testing.T, o gce.Options) *gce.Server {
	t.Helper()
	o.Project, o.Zone, o.Key = ours, zone, theKey
	if o.Role == nil {
		o.Role = theRole
	}
	s, err := gce.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// theRole has, besides what a release calls, what these tests call.
var theRole = append(provider.ReleasePermissions(), "compute.images.getFromFamily", "compute.instances.start",
	"compute.instances.stop")

var theKey = sync.OnceValues(func() ([]byte, error) { return gce.NewKey(ours) })

// connect puts the server on a network and gives the world its clients.
func (w *world) connect(h http.Handler) {
	w.Helper()
	n := network.New()
	w.Cleanup(func() { require.NoError(w, n.Close()) })
	for _, host := range gce.Hosts() {
		if host == "oauth2.googleapis.com" {
			h = w.server // whose calls are not of the API that h checks
		}
		require.NoError(w, n.Handle(host, h))
	}
	w.plain = &http.Client{Transport: n.Transport()}
	jwt, err := google.JWTConfigFromJSON(w.server.Key(), "https://www.googleapis.com/auth/cloud-platform")
	require.NoError(w, err)
	w.client = jwt.Client(context.WithValue(context.Background(), oauth2.HTTPClient, w.plain))
}

func (w *world) saw(method string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[method] = true
}

func features(names ...string) (all []*computepb.GuestOsFeature) {
	for _, name := range names {
		all = append(all, &computepb.GuestOsFeature{Type: new(name)})
	}
	return all
}

// vm is what Packer asks for, less what does not matter here.
func vm(name string) *computepb.Instance {
	return &computepb.Instance{Name: new(name), MachineType: new("zones/" + zone + "/machineTypes/e2-standard-4"),
		Labels: map[string]string{"owner": "mero-tee"},
		Disks: []*computepb.AttachedDisk{{Boot: new(true), InitializeParams: &computepb.AttachedDiskInitializeParams{
			SourceImage: new("projects/ubuntu-os-cloud/global/images/ubuntu-1"), DiskName: new(name + "-disk")}}},
		NetworkInterfaces: []*computepb.NetworkInterface{{Network: new("global/networks/default"),
			AccessConfigs: []*computepb.AccessConfig{{Type: new("ONE_TO_ONE_NAT")}}}}}
}

// machines are a Host that runs nothing: a disk's folder holds one file, whose
// text tells what became of it.
type machines struct {
	mu      sync.Mutex
	booted  []gce.Spec
	all     []*machine
	broken  map[string]error                         // by method, what it fails with
	block   chan struct{}                            // when set, Unpack and Capture wait for it
	booting chan struct{}                            // when set, Boot waits for it, whatever its context says
	guest   func(ctx context.Context, spec gce.Spec) // runs in each machine
}

func newMachines() *machines { return &machines{broken: map[string]error{}} }

func (m *machines) wait(ctx context.Context, method string) error {
	if m.block != nil {
		select {
		case <-m.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return m.broken[method]
}

func (m *machines) Unpack(ctx context.Context, image, disk string) error {
	data, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	if err := os.Mkdir(disk, 0o755); err != nil {
		return err
	}
	if err := m.wait(ctx, "Unpack"); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(disk, "text"), append(data, " unpacked"...), 0o600)
}

func (m *machines) Capture(ctx context.Context, disk, image string) error {
	if err := m.wait(ctx, "Capture"); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(disk, "text"))
	if err != nil {
		return err
	}
	return os.WriteFile(image, append(data, " captured"...), 0o600)
}

func (m *machines) Boot(ctx context.Context, spec gce.Spec) (gce.Machine, error) {
	if err := m.broken["Boot"]; err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(spec.Serial, "booting %s\n", spec.Name)
	if m.booting != nil {
		<-m.booting
	}
	b := &machine{done: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.booted, m.all = append(m.booted, spec), append(m.all, b)
	if m.guest != nil {
		go m.guest(ctx, spec)
	}
	return b, nil
}

// last is the machine that booted last.
func (m *machines) last() (gce.Spec, *machine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.booted[len(m.booted)-1], m.all[len(m.all)-1]
}

// count is how many have booted.
func (m *machines) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.booted)
}

type machine struct {
	once sync.Once
	done chan struct{}
}

func (m *machine) Stop() error           { m.once.Do(func() { close(m.done) }); return nil }
func (m *machine) Done() <-chan struct{} { return m.done }

func (m *machine) stopped() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// inside is a request from within a VM.
func (w *world) inside(spec gce.Spec, method, path string, body io.Reader) (int, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, "http://"+spec.Metadata+"/computeMetadata/v1/"+path, body)
	require.NoError(w, err)
	r.Header.Set("Metadata-Flavor", "Google")
	answer, err := w.plain.Do(r)
	require.NoError(w, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(w, err)
	require.Equal(w, "Google", answer.Header.Get("Metadata-Flavor"))
	return answer.StatusCode, string(text)
}
