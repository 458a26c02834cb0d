package gce

import (
	"context"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// Image is what the API says about one image. A base image whose family has a
// newer one with other Features, or with State set, is the drift to report.
type Image struct {
	Project, Name string
	ID            uint64 // of this very image: a name may be used again
	SelfLink      string
	Family        string
	Description   string
	Created       time.Time
	Status        string   // READY, PENDING, FAILED, DELETING
	State         string   // "", DEPRECATED, OBSOLETE, DELETED
	Replacement   string   // what its owner recommends instead
	Features      []string // guest OS features: TDX_CAPABLE, UEFI_COMPATIBLE, GVNIC, …
	Labels        map[string]string
	DiskBytes     int64
}

// Image asks for one image by its exact name.
func (c *Client) Image(ctx context.Context, project, name string) (*Image, error) {
	return c.image(ctx, project, "reading image "+project+"/"+name, func(ctx context.Context) (*computepb.Image, error) {
		return c.images.Get(ctx, &computepb.GetImageRequest{Project: project, Image: name})
	})
}

// NewestOfFamily asks for the newest image of a family that is not deprecated.
func (c *Client) NewestOfFamily(ctx context.Context, project, family string) (*Image, error) {
	return c.image(ctx, project, "reading the newest image of family "+project+"/"+family,
		func(ctx context.Context) (*computepb.Image, error) {
			return c.images.GetFromFamily(ctx, &computepb.GetFromFamilyImageRequest{Project: project, Family: family})
		})
}

func (c *Client) image(ctx context.Context, project, doing string,
	ask func(context.Context) (*computepb.Image, error)) (*Image, error) {
	var found *computepb.Image
	err := c.call(ctx, doing, func(ctx context.Context) (err error) {
		found, err = ask(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := readImage(found)
	out.Project = project
	return out, nil
}

func readImage(i *computepb.Image) *Image {
	created, _ := time.Parse(time.RFC3339, i.GetCreationTimestamp()) // zero: for people only
	out := &Image{Name: i.GetName(), ID: i.GetId(), SelfLink: i.GetSelfLink(), Family: i.GetFamily(),
		Description: i.GetDescription(), Created: created, Status: i.GetStatus(), State: i.GetDeprecated().GetState(),
		Replacement: i.GetDeprecated().GetReplacement(), Labels: i.GetLabels(), DiskBytes: i.GetDiskSizeGb() << 30}
	for _, f := range i.GetGuestOsFeatures() {
		out.Features = append(out.Features, f.GetType())
	}
	return out
}

// DeleteImage deletes an image of the client's own project; one that does not exist is fine.
func (c *Client) DeleteImage(ctx context.Context, name string) error {
	if err := c.journal.Begin(journal.Image, name); err != nil {
		return err
	}
	return c.remove(ctx, journal.Image, name, c.inProject,
		func(ctx context.Context, requestID string) (*compute.Operation, error) {
			return c.images.Delete(ctx, &computepb.DeleteImageRequest{Project: c.project, Image: name,
				RequestId: proto.String(requestID)})
		})
}
