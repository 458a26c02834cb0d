package gce

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
	found, err := c.OfRun(ctx, run)
	errs := []error{err}
	var deleted []Resource
	for _, r := range found {
		err := c.Remove(ctx, r)
		if err == nil {
			deleted = append(deleted, r)
		}
		errs = append(errs, err)
	}
	return deleted, errors.Join(errs...)
}

// OfRun lists the VMs and disks with the label of a run. With an error the list is not whole.
func (c *Client) OfRun(ctx context.Context, run string) ([]Resource, error) {
	if !labelText.MatchString(run) {
		return nil, &fault.Error{Code: fault.Usage, Message: "gce: not the label of a run", Got: fmt.Sprintf("%q", run)}
	}
	filter := fmt.Sprintf("(labels.%s=%s) (labels.%s=%s)", LabelOwner, Owner, LabelRun, run)
	instances, a := c.everyPage(ctx, Instances, filter)
	disks, b := c.everyPage(ctx, Disks, filter)
	// a server that does not filter must not cost another run its VM
	others := func(r Resource) bool { return r.Run != run }
	return slices.DeleteFunc(slices.Concat(instances, disks), others), errors.Join(a, b)
}

// Kind is a kind of resource.
type Kind string

// The kinds that a release makes.
const (
	Instances Kind = "vm"
	Disks     Kind = "disk"
	Images    Kind = "image"
)

// Resource is something in the project that carries our owner label. Which
// images are released is not the cloud's to know: their labels name the version.
type Resource struct {
	Kind    Kind
	Name    string
	Zone    string // "" of an image
	Run     string // "" when it has no such label
	Expires time.Time
	Expired bool // its time is up; false when it has no such label
	Labels  map[string]string
}

func resource(kind Kind, scope, name string, labels map[string]string) Resource {
	out := Resource{Kind: kind, Name: name, Zone: strings.TrimPrefix(scope, "zones/"), Run: labels[LabelRun],
		Labels: labels}
	if seconds, err := strconv.ParseInt(labels[LabelExpires], 10, 64); err == nil {
		out.Expires = time.Unix(seconds, 0).UTC()
		out.Expired = out.Expires.Before(time.Now())
	}
	return out
}

// Leftovers lists our instances, disks and images: instances first, because the
// deletion of one takes its disk along. With an error the list is not whole.
func (c *Client) Leftovers(ctx context.Context) ([]Resource, error) {
	labelled := "labels." + LabelOwner + "=" + Owner
	instances, a := c.everyPage(ctx, Instances, labelled)
	disks, b := c.everyPage(ctx, Disks, "") // Packer cannot label those of its build VMs
	images, d := c.everyPage(ctx, Images, labelled)
	disks = slices.DeleteFunc(disks, func(r Resource) bool { return !r.ours() })
	return slices.Concat(instances, disks, images), errors.Join(a, b, d)
}

// BuilderPrefix begins the name of every VM that images are built on, and of its disk.
const BuilderPrefix = "mero-build-"

// builderLife is how long a build may take: a disk of that name that is older is left over.
const builderLife = 2 * time.Hour

func (r Resource) ours() bool {
	return r.Labels[LabelOwner] == Owner || r.Kind == Disks && strings.HasPrefix(r.Name, BuilderPrefix)
}

// diskResource gives a build VM's disk, which has no labels, the time when it is no longer needed.
func diskResource(scope, name, created string, labels map[string]string) Resource {
	out := resource(Disks, scope, name, labels)
	at, err := time.Parse(time.RFC3339, created)
	if labels[LabelExpires] == "" && strings.HasPrefix(name, BuilderPrefix) && err == nil {
		out.Expires = at.Add(builderLife).UTC()
		out.Expired = out.Expires.Before(time.Now())
	}
	return out
}
