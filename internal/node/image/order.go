package image

import (
	"context"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Images makes node images at the cloud provider.
type Images interface {
	// Content is the content id of a profile's image: a digest over everything that decides it.
	Content(ctx context.Context, p release.Profile) (string, error)
	// Build makes the image, under a name that no image has yet, and returns its record.
	// It begins the image in the order's journal; whoever keeps the record ends it.
	Build(ctx context.Context, o Order) (*Record, error)
	// Discard deletes what an earlier, interrupted run of the same order left:
	// its VM and disk and, if image says so, the image of that name.
	Discard(ctx context.Context, o Order, image bool) error
	// Programs is a folder with the programs that images of the profile hold, by name.
	Programs(ctx context.Context, p release.Profile) (string, error)
	// Drift compares the pinned base image with the newest of its family.
	Drift(ctx context.Context) (Drift, error)
}

// Drift is the pinned base image and the newest of its family, by name; the
// zero Drift is that of images without a base.
type Drift struct{ Project, Family, Pinned, Newest string }

// String says in a sentence how they compare.
func (d Drift) String() string {
	switch d.Newest {
	case "":
		return "simulated images have no base image"
	case d.Pinned:
		return fmt.Sprintf("the base image %s is the newest of %s", d.Pinned, d.Family)
	}
	return fmt.Sprintf("the base image is pinned to %s; %s has %s: moving the pin (packer/base.pkrvars.hcl) changes RTMR1 and RTMR2 of every profile, and RTMR0 where the firmware's tables changed",
		d.Pinned, d.Family, d.Newest)
}

// Order is one image to be made.
type Order struct {
	Profile release.Profile
	Tag     release.Tag
	Commit  string
	Content string // content id
	Name    string
	Work    string // a folder for what the build needs
	Log     func(line string)
	Journal journal.Journal
}
