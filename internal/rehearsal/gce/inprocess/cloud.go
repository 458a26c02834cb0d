package inprocess

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	compute "google.golang.org/api/compute/v1"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	server "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/node"
)

// The only project and zone.
const (
	Project = "mero-test"
	Zone    = "us-central1-a"
)

// Cloud is a project on a network of its own. Close it.
type Cloud struct {
	Server *server.Server
	// Transport leads to it; replace it to see or to spoil what is asked.
	Transport http.RoundTripper
	state     string
	net       *network.Network
}

// Open goes on from what the folder holds.
func Open(state string, machines server.Machines, faults server.Faults) (*Cloud, error) {
	s, err := server.New(server.Options{State: state, Project: Project, Zone: Zone, Hosts: machines, Faults: faults, Key: theKey})
	if err != nil {
		return nil, err
	}
	c := &Cloud{Server: s, state: state, net: network.New()}
	c.Transport = c.net.Transport()
	for _, host := range server.Hosts() {
		err = errors.Join(err, c.net.Handle(host, s))
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close stops every VM and waits for it.
func (c *Cloud) Close() error { return errors.Join(c.Server.Close(), c.net.Close()) }

// Client is production's own, with the project's key and a faster clock.
func (c *Cloud) Client(ctx context.Context, j journal.Journal) (*gce.Client, error) {
	key, err := c.Server.Key()
	if err != nil {
		return nil, err
	}
	return gce.New(ctx, gce.Options{Project: Project, Zone: Zone, Key: key, Transport: c.Transport, Journal: j, Wait: quick})
}

// quick waits a fiftieth of the time, and never long: nothing here takes as long
// as at Google's, and what adds its pauses up runs out of patience all the same.
func quick(ctx context.Context, d time.Duration) error {
	return retry.For(ctx, min(d/50, 10*time.Millisecond))
}

// Import makes the simulated image an image of the project, which is labelled as one that was built.
func (c *Cloud) Import(ctx context.Context, i node.Image) error {
	data, err := canonical.Marshal(i)
	if err != nil {
		return err
	}
	tar := filepath.Join(c.state, i.Name())
	if err := os.WriteFile(tar, data, 0o600); err != nil {
		return err
	}
	defer os.Remove(tar) //nolint:errcheck // the server has a name of its own for it
	content := i.Record("").ContentID
	return c.Server.Import(ctx, Project, &compute.Image{Name: i.Name(), Labels: image.Labels(i.Profile, i.Version, content),
		GuestOsFeatures: []*compute.GuestOsFeature{{Type: "UEFI_COMPATIBLE"}, {Type: "GVNIC"}, {Type: "TDX_CAPABLE"}}}, tar)
}

// Link is the self link of the image, as Resources names it.
func Link(i node.Image) string { return "projects/" + Project + "/global/images/" + i.Name() }

// Images makes simulated images that are images of the cloud too.
type Images struct {
	node.Images
	Cloud *Cloud
}

// Build makes the image and returns its record.
func (i Images) Build(ctx context.Context, o image.Order) (*image.Record, error) {
	record, err := i.Images.Build(ctx, o)
	if err != nil {
		return nil, err
	}
	return record, i.Cloud.Import(ctx, node.Image{Version: i.Version, Profile: o.Profile})
}

// theKey is the service account of every project here: making one takes long.
var theKey = sync.OnceValues(func() ([]byte, error) { return server.NewKey(Project) })
