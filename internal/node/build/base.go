package build

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
)

// Drift compares the pinned base image with the newest of its family. That there
// is no such image, or no such family, is an error that names those that there are.
func (b *Builder) Drift(ctx context.Context) (image.Drift, error) {
	base, err := packer.ReadBase(b.o.Root)
	if err != nil {
		return image.Drift{}, err
	}
	client, err := b.o.Cloud(ctx, nil)
	if err != nil {
		return image.Drift{}, err
	}
	defer client.Close()
	if err := exists(ctx, client, base); err != nil {
		return image.Drift{}, err
	}
	newest, err := client.NewestOfFamily(ctx, base.Project, base.Family)
	if errors.Is(err, gce.ErrNotFound) {
		return image.Drift{}, unknown(ctx, client, base, "an image in family "+base.Family, err)
	}
	if err != nil {
		return image.Drift{}, err
	}
	return image.Drift{Project: base.Project, Family: base.Family, Pinned: base.Image, Newest: newest.Name}, nil
}

// exists asks for the pinned base image.
func exists(ctx context.Context, client *gce.Client, base *packer.Base) error {
	_, err := client.Image(ctx, base.Project, base.Image)
	if errors.Is(err, gce.ErrNotFound) {
		return unknown(ctx, client, base, "image "+base.Image, err)
	}
	return err
}

const maxFamilies = 12 // that an error names

// unknown says what there is instead of the base image.
func unknown(ctx context.Context, client *gce.Client, base *packer.Base, expected string, err error) error {
	out := &fault.Error{Code: fault.Usage, Message: "the base image that is pinned does not exist", Err: err,
		Expected: expected + " of project " + base.Project,
		Hint: "pin one that exists in packer/base.pkrvars.hcl: source_image, its source_image_project and " +
			"source_image_family"}
	found, failed := client.Families(ctx, base.Project)
	switch {
	case errors.Is(failed, gce.ErrNotFound):
		out.Got = "no images that these credentials see in that project"
	case failed != nil:
		out.Got = "not found; what there is could not be listed: " + failed.Error()
	case len(found) == 0:
		out.Got = "no family in that project that boots a TDX VM"
	default:
		var names []string
		for _, f := range found[:min(len(found), maxFamilies)] {
			names = append(names, fmt.Sprintf("%s (%s)", f.Name, f.Newest))
		}
		out.Got = fmt.Sprintf("%d families that boot TDX VMs: %s", len(found), strings.Join(names, ", "))
	}
	return out
}
