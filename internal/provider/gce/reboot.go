package gce

import (
	"context"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// reboot gives a VM that runs other metadata and pushes its reset button: what
// ran is gone, its disk is as it left it, and the firmware begins anew. A reset
// keeps the machine, which a stop and a start may lose to somebody else.
func (c *Client) reboot(ctx context.Context, vm *VM) error {
	doing := "rebooting " + vm.Name
	if err := c.setMetadata(ctx, doing, vm); err != nil {
		return err
	}
	return c.operate(ctx, doing, c.inZone(c.zone), func(ctx context.Context, id string) (*compute.Operation, error) {
		return c.instances.Reset(ctx, &computepb.ResetInstanceRequest{Project: c.project, Zone: c.zone, Instance: vm.Name,
			RequestId: proto.String(id)})
	})
}

// setMetadata replaces a VM's metadata by that of vm. The fingerprint is that of
// what is replaced: nobody else writes there.
func (c *Client) setMetadata(ctx context.Context, doing string, vm *VM) error {
	var was *computepb.Instance
	err := c.call(ctx, doing, func(ctx context.Context) (err error) {
		was, err = c.instances.Get(ctx, &computepb.GetInstanceRequest{Project: c.project, Zone: c.zone, Instance: vm.Name})
		return err
	})
	if err != nil {
		return err
	}
	wanted := vm.metadata()
	wanted.Fingerprint = proto.String(was.GetMetadata().GetFingerprint())
	return c.operate(ctx, doing, c.inZone(c.zone), func(ctx context.Context, id string) (*compute.Operation, error) {
		return c.instances.SetMetadata(ctx, &computepb.SetMetadataInstanceRequest{Project: c.project, Zone: c.zone,
			Instance: vm.Name, MetadataResource: wanted, RequestId: proto.String(id)})
	})
}
