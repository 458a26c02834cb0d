package gce

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
	out := Resource{Kind: kind, Name: name, Zone: strings.TrimPrefix(scope, "zones/"), Run: labels[LabelRun], Labels: labels}
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
