package gce

import (
	"context"
	"errors"
	"strings"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
)

// Delete deletes a VM and, with it, its boot disk; one that does not exist is fine.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.deleteVM(ctx, c.zone, name)
}

func (c *Client) deleteVM(ctx context.Context, zone, name string, also ...tolerance) error {
	return c.remove(ctx, "vm "+name, c.inZone(zone), func(ctx context.Context, requestID string) (*compute.Operation, error) {
		return c.instances.Delete(ctx, &computepb.DeleteInstanceRequest{Project: c.project, Zone: zone, Instance: name, RequestId: proto.String(requestID)})
	}, also...)
}

// DeleteDisk deletes a disk of the client's own zone by its name: a builder may
// not be able to label what it makes. One that does not exist is fine.
func (c *Client) DeleteDisk(ctx context.Context, name string) error {
	return c.deleteDisk(ctx, c.zone, name)
}

func (c *Client) deleteDisk(ctx context.Context, zone, name string) error {
	return c.remove(ctx, "disk "+name, c.inZone(zone), func(ctx context.Context, requestID string) (*compute.Operation, error) {
		return c.disks.Delete(ctx, &computepb.DeleteDiskRequest{Project: c.project, Zone: zone, Disk: name, RequestId: proto.String(requestID)})
	})
}

// remove deletes what ("vm NAME") to the end of the operation. A journal that
// cannot be written is an error, but none that leaves the resource behind.
func (c *Client) remove(ctx context.Context, what string, ask asker, send func(ctx context.Context, requestID string) (*compute.Operation, error), also ...tolerance) error {
	kind, name, _ := strings.Cut(what, " ")
	unwritten := c.journal(kind+" deletion begins", name)
	var op *compute.Operation
	id := uuid.NewString()
	err := c.call(ctx, "deleting "+what, func(ctx context.Context) (err error) {
		op, err = send(ctx, id)
		return err
	}, append(also, notReady)...)
	if err == nil {
		err = c.finish(ctx, "deleting "+what, op, ask)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return errors.Join(err, unwritten)
	}
	return errors.Join(unwritten, c.journal(kind+" deleted", name))
}
