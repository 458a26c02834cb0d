package gce

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// Instance is a VM as the API shows it.
type Instance struct {
	Name, Zone string
	ID         uint64
	SelfLink   string
	Status     string // PROVISIONING, STAGING, RUNNING, STOPPING, TERMINATED, …
	Labels     map[string]string
}

// vmState is what may exist of a VM after an attempt to boot it.
type vmState int

const (
	nothing  vmState = iota // of ours; the name may belong to somebody else
	doubtful                // an insertion was sent and not answered: it may become visible later
	ours
)

// Boot boots a VM with Intel TDX and returns when it runs. After an error there
// may be a VM all the same: the caller deletes it by its name, as Run does.
func (c *Client) Boot(ctx context.Context, vm VM) (*Instance, error) {
	i, _, err := c.boot(ctx, &vm)
	return i, err
}

func (c *Client) boot(ctx context.Context, vm *VM) (*Instance, vmState, error) {
	if err := vm.check(); err != nil {
		return nil, nothing, err
	}
	if err := c.journal.Begin(journal.VM, vm.Name); err != nil {
		return nil, nothing, err
	}
	wanted := c.instance(vm)
	op, state, err := c.insert(ctx, wanted)
	switch {
	case err != nil:
		return nil, state, err
	case op != nil:
		err = c.finish(ctx, "booting "+vm.Name, op, c.inZone(c.zone))
	default:
		state, err = c.adopt(ctx, wanted)
	}
	if err != nil {
		return nil, state, err
	}
	i, err := c.Instance(ctx, vm.Name)
	return i, state, err
}

// insert sends the request until it is answered. Without an operation it was
// carried out by an earlier attempt, whose answer was lost.
func (c *Client) insert(ctx context.Context,
	wanted *computepb.Instance) (op *compute.Operation, state vmState, err error) {
	req := &computepb.InsertInstanceRequest{Project: c.project, Zone: c.zone, InstanceResource: wanted,
		RequestId: proto.String(uuid.NewString())}
	err = c.call(ctx, "booting "+wanted.GetName(), func(ctx context.Context) error {
		// A cancellation waits for this answer: a request that is cut off may be carried out later.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		var err error
		op, err = c.instances.Insert(ctx, req)
		switch r := refusal(err); {
		case err == nil:
			state = ours
		case r == nil || !r.final():
			state = doubtful
		case r.Status == http.StatusConflict && state == doubtful:
			return nil
		}
		return err
	})
	return op, state, err
}

// adopt takes the VM of that name for the one wanted, if it is, and waits until it runs.
func (c *Client) adopt(ctx context.Context, wanted *computepb.Instance) (vmState, error) {
	state := doubtful
	err := c.poll(ctx, "booting "+wanted.GetName(), maxOperate, func(ctx context.Context) (bool, error) {
		i, err := c.Instance(ctx, wanted.GetName())
		if err != nil {
			return false, err
		}
		if !maps.Equal(i.Labels, wanted.GetLabels()) {
			state = nothing
			return false, explain("booting "+i.Name, errTaken)
		}
		state = ours
		return i.Status != "PROVISIONING" && i.Status != "STAGING", nil
	})
	return state, err
}

var errTaken = errors.New("the name is taken by a VM of another run")

// Instance asks for a VM that was booted just now.
func (c *Client) Instance(ctx context.Context, name string) (*Instance, error) {
	var i *computepb.Instance
	err := c.call(ctx, "reading "+name, func(ctx context.Context) (err error) {
		i, err = c.instances.Get(ctx, &computepb.GetInstanceRequest{Project: c.project, Zone: c.zone, Instance: name})
		return err
	}, fresh)
	if err != nil {
		return nil, err
	}
	if i.GetName() != name {
		return nil, fmt.Errorf("gce: asked for %s, got %.100q", name, i.GetName())
	}
	return &Instance{Name: name, Zone: c.zone, ID: i.GetId(), SelfLink: i.GetSelfLink(), Status: i.GetStatus(),
		Labels: i.GetLabels()}, nil
}
