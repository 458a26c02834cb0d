package inprocess

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/vm"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	server "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The only project and zone.
const (
	Project = "mero-test"
	Zone    = "us-central1-a"
)

// Cloud is a project on a network of its own, for tests of what uses one. Close it.
type Cloud struct {
	Server *server.Server
	// Transport leads to it; replace it to see or to spoil what is asked.
	Transport http.RoundTripper
	net       *network.Network
	nodes     *vm.VMs // of Report
}

// Open goes on from what the folder holds.
func Open(state string, host server.Host, faults server.Faults) (*Cloud, error) {
	s, err := server.New(server.Options{State: state, Project: Project, Zone: Zone, Host: host, Faults: faults,
		Role: gce.ReleasePermissions(),
		Key:  theKey})
	if err != nil {
		return nil, err
	}
	c := &Cloud{Server: s, net: network.New()}
	c.Transport, c.nodes = c.net.Transport(), c.Nodes("report", "report", nil)
	for _, host := range server.Hosts() {
		err = errors.Join(err, c.net.Handle(host, s))
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// theKey is the service account of every project here: making one takes long.
var theKey = sync.OnceValues(func() ([]byte, error) { return server.NewKey(Project) })

// Close stops every VM and waits for it.
func (c *Cloud) Close() error { return errors.Join(c.Server.Close(), c.net.Close()) }

// Client is production's own, with the project's key and a faster clock.
func (c *Cloud) Client(ctx context.Context, j journal.Journal) (*gce.Client, error) {
	return gce.New(ctx, gce.Options{Project: Project, Zone: Zone, Key: c.Server.Key(), Transport: c.Transport, Journal: j,
		Wait: quick})
}

// quick waits a fiftieth of the time, and never long: nothing here takes as long
// as at Google's, and what adds its pauses up runs out of patience all the same.
func quick(ctx context.Context, d time.Duration) error {
	return retry.For(ctx, min(d/50, 10*time.Millisecond))
}

// Nodes boots the images of the project for a run, as production does.
func (c *Cloud) Nodes(purpose, run string, j journal.Journal) *vm.VMs {
	return &vm.VMs{Project: Project, Purpose: purpose, Run: gce.RunLabel(run),
		Client: func(ctx context.Context) (*gce.Client, error) { return c.Client(ctx, j) }}
}

// Report boots the image, which is imported if need be, and gives what its agent reports.
func (c *Cloud) Report(ctx context.Context, i Image, m agent.Mission) (*agent.Report, error) {
	if err := c.Import(i); err != nil {
		return nil, err
	}
	published := &measurement.Published{Tag: release.Tag{Family: release.Node, Version: i.Version},
		Profiles: map[release.Profile]measurement.Profile{i.Profile: {Image: measurement.Image{Name: i.Name()}}}}
	return c.nodes.Boot(ctx, published, i.Profile, m)
}

// Import makes the simulated image one of the project, labelled as one that was built.
func (c *Cloud) Import(i Image) error { return i.Import(c.Server, Project, i.Labels()) }

// Link is the self link of the image, as Resources names it.
func Link(i Image) string { return "projects/" + Project + "/global/images/" + i.Name() }
