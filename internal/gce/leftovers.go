package gce

import (
	"context"
	"errors"
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
	return c.labelled(ctx, "labels."+LabelOwner+"="+Owner, Instances, Disks, Images)
}

func (c *Client) labelled(ctx context.Context, filter string, kinds ...Kind) ([]Resource, error) {
	var out []Resource
	var errs []error
	for _, kind := range kinds {
		found, err := c.everyPage(ctx, kind, filter)
		out = append(out, found...)
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}
