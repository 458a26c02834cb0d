package build

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
)

// ask looks, before a VM is started, whether there is the base image and not the image.
func (b *Builder) ask(ctx context.Context, o image.BuildRequest) error {
	base, err := packer.ReadBase(b.o.Root)
	if err != nil {
		return err
	}
	client, err := b.o.Cloud(ctx, o.Journal)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := b.absent(ctx, client, o); err != nil {
		return err
	}
	return exists(ctx, client, base)
}

// absent refuses a name that an image has: "an existing name is never overwritten".
func (b *Builder) absent(ctx context.Context, client *gce.Client, o image.BuildRequest) error {
	there, err := client.Image(ctx, b.o.Project, o.Name)
	if errors.Is(err, gce.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return &fault.Error{Code: fault.Verification,
		Message:  "an image of this name exists already, and this release did not make it",
		Expected: "no image " + o.Name, Got: fmt.Sprintf("id %d of %s", there.ID, there.Created.Format(time.RFC3339)),
		Hint: "an image is never overwritten: release the next version, or, when no release has it, let `mage sweep " +
			"-unexpired -apply` delete it"}
}

// Discard deletes what an interrupted run of the same order left. What cannot be
// deleted keeps nothing else from being deleted.
func (b *Builder) Discard(ctx context.Context, o image.BuildRequest, image bool) error {
	client, err := b.o.Cloud(ctx, o.Journal)
	if err != nil {
		return err
	}
	defer client.Close()
	swept, err := client.SweepRun(ctx, runLabel(o))
	for _, r := range swept {
		o.Log(fmt.Sprintf("deleted %s %s of an interrupted run", r.Kind, r.Name))
	}
	for _, disk := range []string{instanceName(o), instanceName(o) + "-image"} { // Packer cannot label them
		err = errors.Join(err, client.DeleteDisk(ctx, disk))
	}
	if image {
		err = errors.Join(err, client.DeleteImage(ctx, o.Name))
	}
	return err
}
