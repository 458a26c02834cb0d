package nodeimage

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Images makes node images at the cloud provider.
type Images interface {
	// Content is the content id of a profile's image: a digest over everything that decides it.
	Content(ctx context.Context, p release.Profile) (string, error)
	// Build makes the image, under a name that no image has yet, and returns its record.
	Build(ctx context.Context, o Order) (*Record, error)
	// Discard deletes what an earlier, interrupted run of the same order left:
	// its VM and disk and, if image says so, the image of that name.
	Discard(ctx context.Context, o Order, image bool) error
	// Programs is a folder with the programs that images of the profile hold, by name.
	Programs(ctx context.Context, p release.Profile) (string, error)
	// Drift says in a sentence how the pinned base image compares with the newest of its family.
	Drift(ctx context.Context) (string, error)
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
	Journal func(event, subject string) error
}
