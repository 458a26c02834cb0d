package gce_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

// cloud is a project of the rehearsal's Compute Engine with one image.
type cloud struct {
	*world
	server *rehearsal.Server
	around func(next http.Handler) http.Handler // what a test puts in front of the API
	guest  func(spec rehearsal.Spec)            // what runs in each VM, before it counts as booted
}

const imageName = "mero-tee-debug-1-2-3-0a1b2c3d"

var report = []byte(strings.Repeat(`{"quote":"…"}`, 50))

func newCloud(t *testing.T, faults rehearsal.Faults) *cloud {
	t.Helper()
	c := &cloud{around: func(next http.Handler) http.Handler { return next }}
	c.guest = func(spec rehearsal.Spec) { publish(t, spec, report) }
	var err error
	c.server, err = rehearsal.New(rehearsal.Options{State: t.TempDir(), Project: project, Zone: zone, Host: c,
		Role:   gce.ReleasePermissions(),
		Faults: faults, Key: cloudKey})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.server.Close()) })
	file := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(file, []byte("image"), 0o600))
	require.NoError(t, c.server.Import(project,
		&computepb.Image{Name: new(imageName), DiskSizeGb: new(int64(10)), Labels: map[string]string{"owner": "mero-tee"},
			CreationTimestamp: new("2026-11-01T00:00:00Z"), GuestOsFeatures: []*computepb.GuestOsFeature{
				{Type: new("UEFI_COMPATIBLE")}, {Type: new("GVNIC")}, {Type: new("TDX_CAPABLE")}}}, file))
	c.world = newBareWorld(t)
	c.options.Key = c.server.Key()
	c.serve("oauth2.googleapis.com", c.server)
	c.serve("cloudresourcemanager.googleapis.com", c.server)
	c.serve("compute.googleapis.com", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c.note(&c.requests, r.Method+" "+r.URL.Path)
		c.around(c.server).ServeHTTP(rw, r)
	}))
	return c
}

// cloudKey is made once, because that takes long.
var cloudKey = sync.OnceValues(func() ([]byte, error) { return rehearsal.NewKey(project) })

// Unpack, Capture and Boot make cloud the machines of its own server.
func (c *cloud) Unpack(_ context.Context, _, disk string) error { return os.Mkdir(disk, 0o755) }

func (c *cloud) Capture(_ context.Context, _, image string) error {
	return os.WriteFile(image, []byte("image"), 0o600)
}

func (c *cloud) Boot(_ context.Context, spec rehearsal.Spec) (rehearsal.Machine, error) {
	_, _ = fmt.Fprintf(spec.Serial, "%s\nkernel: \x1b[1mKernel panic\x1b[0m\n", strings.Repeat("long ago\n", 2000))
	m := &machine{done: make(chan struct{})}
	c.guest(spec)
	return m, nil
}

type machine struct {
	once sync.Once
	done chan struct{}
}

func (m *machine) Stop() error           { m.once.Do(func() { close(m.done) }); return nil }
func (m *machine) Done() <-chan struct{} { return m.done }

// publish is what the agent does.
func publish(t *testing.T, spec rehearsal.Spec, report []byte) {
	m := &guestattr.Metadata{Host: spec.Metadata, HTTP: http.DefaultClient,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	if err := m.Publish(context.Background(), guestattr.Namespace, guestattr.ReportName, report); err != nil {
		t.Error(err)
	}
}

func spec() gce.RunSpec {
	return gce.RunSpec{Purpose: "measure", Profile: release.Debug, Image: imageLink, Run: runLabel,
		Metadata: map[string]string{"mero-nonce": strings.Repeat("0f", 32)}, MaxRun: 30 * time.Minute, Wait: 10 * time.Minute}
}

// image is all that may be left.
func (c *cloud) requireClean() {
	c.t.Helper()
	require.Equal(c.t, []string{"projects/" + project + "/global/images/" + imageName}, c.server.Resources())
}

// events are the journal without the VM's random name.
func (c *cloud) events() []string {
	var out []string
	for _, line := range c.said(&c.journal) {
		event, name, _ := cutLast(line)
		require.Regexp(c.t, `^mero-measure-debug-[0-9a-f]{8}$`, name)
		out = append(out, event)
	}
	return out
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndex(s, " ")
	return s[:i], s[i+1:], i >= 0
}

var wholeLife = []string{"begin vm", "end vm"}
