package gce

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// Remove deletes a resource that Leftovers found; one that is gone is fine.
func (c *Client) Remove(ctx context.Context, r Resource) error {
	if !r.ours() {
		return &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("gce: %s %s is not ours to delete", r.Kind, r.Name),
			Expected: "label " + LabelOwner + "=" + Owner}
	}
	switch r.Kind {
	case Instances:
		if err := c.journal.Begin(journal.VM, r.Name); err != nil {
			return err
		}
		return c.deleteVM(ctx, r.Zone, r.Name)
	case Disks:
		return c.deleteDisk(ctx, r.Zone, r.Name)
	case Images:
		return c.DeleteImage(ctx, r.Name)
	}
	return fmt.Errorf("gce: unknown kind of resource %q", r.Kind)
}

// SweepRun deletes the VMs and disks that an earlier, interrupted run with this
// label left, and returns what it deleted.
func (c *Client) SweepRun(ctx context.Context, run string) ([]Resource, error) {
	if !labelText.MatchString(run) {
		return nil, &fault.Error{Code: fault.Usage, Message: "gce: not the label of a run", Got: fmt.Sprintf("%q", run)}
	}
	filter := fmt.Sprintf("(labels.%s=%s) (labels.%s=%s)", LabelOwner, Owner, LabelRun, run)
	instances, a := c.everyPage(ctx, Instances, filter)
	disks, b := c.everyPage(ctx, Disks, filter)
	errs := []error{a, b}
	var deleted []Resource
	for _, r := range slices.Concat(instances, disks) {
		if r.Run != run {
			continue // a server that does not filter must not cost another run its VM
		}
		err := c.Remove(ctx, r)
		if err == nil {
			deleted = append(deleted, r)
		}
		errs = append(errs, err)
	}
	return deleted, errors.Join(errs...)
}
