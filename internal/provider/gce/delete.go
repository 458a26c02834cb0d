package gce

import (
	"context"
	"errors"
	"fmt"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// Delete deletes a VM that was booted here and, with it, its boot disk; one that
// does not exist is fine.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.deleteVM(ctx, c.zone, name)
}

func (c *Client) deleteVM(ctx context.Context, zone, name string, also ...tolerance) error {
	return c.remove(ctx, journal.VM, name, c.inZone(zone),
		func(ctx context.Context, requestID string) (*compute.Operation, error) {
			return c.instances.Delete(ctx, &computepb.DeleteInstanceRequest{Project: c.project, Zone: zone, Instance: name,
				RequestId: proto.String(requestID)})
		}, also...)
}

// DeleteDisk deletes a disk of the client's own zone by its name: a builder may
// not be able to label what it makes. One that does not exist is fine.
func (c *Client) DeleteDisk(ctx context.Context, name string) error {
	return c.deleteDisk(ctx, c.zone, name)
}

func (c *Client) deleteDisk(ctx context.Context, zone, name string) error {
	if err := c.journal.Begin(journal.Disk, name); err != nil {
		return err
	}
	return c.remove(ctx, journal.Disk, name, c.inZone(zone),
		func(ctx context.Context, requestID string) (*compute.Operation, error) {
			return c.disks.Delete(ctx, &computepb.DeleteDiskRequest{Project: c.project, Zone: zone, Disk: name,
				RequestId: proto.String(requestID)})
		})
}

// remove deletes what has its intent in the journal, to the end of the operation.
// An end that cannot be written is an error, but none that leaves the resource behind.
func (c *Client) remove(ctx context.Context, kind journal.Kind, name string, ask asker,
	send sender, also ...tolerance) error {
	err := c.operate(ctx, fmt.Sprintf("deleting %s %s", kind, name), ask, send, also...)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return errors.Join(err, c.journal.End(kind, name, err))
}
