// Package gce speaks to Google Compute Engine: images, the confidential VMs
// that are booted from them to be measured, and what is left of both.
//
// Its promise: a VM that was asked for here is deleted here, whatever happens
// in between; one that a killed process could not delete is found by its label
// and deletes itself when its time is up.
package gce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"golang.org/x/oauth2"
	"google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/option"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// defaultMachine is the smallest shape of the only family with Intel TDX.
const defaultMachine = "c3-standard-4"

// callTimeout bounds one request; a call may take several.
const callTimeout = 30 * time.Second

// Options is where a Client works and as whom.
type Options struct {
	Project, Zone string
	Key           []byte            // service account key (JSON); nil: the machine's application default credentials
	Transport     http.RoundTripper // the only way out
	MachineType   string            // "": c3-standard-4

	Journal journal.Journal // of VMs, disks and images, from before they are asked for until they are gone

	// Wait pauses between questions; nil: retry.For.
	Wait func(ctx context.Context, d time.Duration) error
}

// Client calls the API for one project and zone. It may be used concurrently.
type Client struct {
	project, zone, machine string
	journal                journal.Journal
	wait                   func(ctx context.Context, d time.Duration) error

	instances *compute.InstancesClient
	disks     *compute.DisksClient
	images    *compute.ImagesClient
	zonal     *compute.ZoneOperationsClient
	global    *compute.GlobalOperationsClient
	lists     *http.Client
	projects  *cloudresourcemanager.ProjectsService
}

// New is a client that gets its tokens over the given transport. It sends nothing yet.
func New(ctx context.Context, o Options) (*Client, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	way := &http.Client{Transport: bounded{o.Transport}, Timeout: callTimeout}
	tokens, err := credentials(context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, way), o.Key)
	if err != nil {
		return nil, err
	}
	return o.client(ctx, &http.Client{Transport: &oauth2.Transport{Source: tokens, Base: way.Transport},
		Timeout: callTimeout})
}

var (
	projectID = regexp.MustCompile(`^[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	zoneName  = regexp.MustCompile(`^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`)
)

func (o *Options) check() error {
	switch {
	case !projectID.MatchString(o.Project):
		return &fault.Error{Code: fault.Usage, Message: "no project of Google Cloud", Got: fmt.Sprintf("%q", o.Project),
			Hint: "set GCP_PROJECT_ID to the project's id, not its title or number"}
	case !zoneName.MatchString(o.Zone):
		return &fault.Error{Code: fault.Usage, Message: "no zone of Google Cloud", Got: fmt.Sprintf("%q", o.Zone),
			Hint: "set GCP_ZONE to a zone with TDX, for example us-central1-a"}
	case o.Transport == nil:
		return errors.New("gce: no transport")
	}
	return nil
}

func (o *Options) client(ctx context.Context, h *http.Client) (*Client, error) {
	c := &Client{project: o.Project, zone: o.Zone, machine: o.MachineType, journal: o.Journal, wait: o.Wait, lists: h}
	if c.machine == "" {
		c.machine = defaultMachine
	}
	return c, c.connect(ctx, option.WithHTTPClient(h))
}

func (c *Client) connect(ctx context.Context, via option.ClientOption) error {
	var errs [6]error
	var manager *cloudresourcemanager.Service
	c.instances, errs[0] = compute.NewInstancesRESTClient(ctx, via)
	c.disks, errs[1] = compute.NewDisksRESTClient(ctx, via)
	c.images, errs[2] = compute.NewImagesRESTClient(ctx, via)
	c.zonal, errs[3] = compute.NewZoneOperationsRESTClient(ctx, via)
	c.global, errs[4] = compute.NewGlobalOperationsRESTClient(ctx, via)
	manager, errs[5] = cloudresourcemanager.NewService(ctx, via)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	c.projects = manager.Projects
	// Every repetition is ours: the library's would wait by a clock that no test can move.
	*c.instances.CallOptions = compute.InstancesCallOptions{}
	*c.disks.CallOptions = compute.DisksCallOptions{}
	*c.images.CallOptions = compute.ImagesCallOptions{}
	*c.zonal.CallOptions = compute.ZoneOperationsCallOptions{}
	*c.global.CallOptions = compute.GlobalOperationsCallOptions{}
	return nil
}

// Close releases the client; the transport stays open, it is the caller's.
func (c *Client) Close() error {
	return errors.Join(c.instances.Close(), c.disks.Close(), c.images.Close(), c.zonal.Close(), c.global.Close())
}

// maxAnswer bounds one answer. The largest are a serial console (1 MiB) and a
// page of 500 instances, each with its metadata.
const maxAnswer = 16 << 20

var errTooLarge = errors.New("the answer is larger than 16 MiB")

// bounded cuts answers off, because the library reads them whole into memory.
type bounded struct{ next http.RoundTripper }

// RoundTrip sends the request unchanged.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = &limited{resp.Body, maxAnswer}
	}
	return resp, err
}

type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= n; l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
