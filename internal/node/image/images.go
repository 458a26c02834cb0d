package image

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Images makes node images at the cloud provider.
type Images interface {
	// Content is the content id of a profile's image: a digest over everything that decides it.
	Content(ctx context.Context, p release.Profile) (string, error)
	// Build makes the image, under a name that no image has yet, and returns its record.
	// It begins the image in the request's journal; whoever keeps the record ends it.
	Build(ctx context.Context, o BuildRequest) (*Record, error)
	// Discard deletes what an earlier, interrupted run of the same request left:
	// its VM and disk and, if image says so, the image of that name.
	Discard(ctx context.Context, o BuildRequest, image bool) error
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
	return fmt.Sprintf("the base image is pinned to %s; %s has %s: moving the pin (packer/base.pkrvars.hcl) changes "+
		"RTMR1 and RTMR2 of every profile, and RTMR0 where the firmware's tables changed",
		d.Pinned, d.Family, d.Newest)
}

// BuildRequest is one image to be made.
type BuildRequest struct {
	Profile release.Profile
	Tag     release.Tag
	Commit  string
	Content string // content id
	Name    string
	Work    string // a folder for what the build needs
	Log     func(line string)
	Journal journal.Journal
}

// maxName is the length that Google allows (RFC 1035).
const maxName = 63

var nameForm = regexp.MustCompile(`^[a-z0-9-]+$`)

// contentForm is that of a content id: SHA-256 over everything that decides an image.
var contentForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Name is what the image of a profile is called. It names the release and
// the first 8 digits of the content id, so that other inputs get another name.
func Name(p release.Profile, v release.Version, contentID string) (string, error) {
	if !contentForm.MatchString(contentID) {
		return "", &fault.Error{Code: fault.Usage, Message: "the content id is malformed",
			Expected: "64 lower-case hex digits", Got: fmt.Sprintf("%.100q", contentID)}
	}
	name := fmt.Sprintf("mero-tee-%s-%s-%s", p, hyphens(v), short(contentID))
	if len(name) > maxName || !nameForm.MatchString(name) {
		return "", &fault.Error{Code: fault.Usage, Message: "the image's name is not one that the cloud takes",
			Expected: fmt.Sprintf("at most %d of a-z, 0-9 and -", maxName),
			Got:      fmt.Sprintf("%q, %d characters", name, len(name)),
			Hint:     "shorten the version"}
	}
	return name, nil
}

// Labels are what the cloud's list of images shows of an image.
func Labels(p release.Profile, v release.Version, contentID string) map[string]string {
	return map[string]string{"owner": "mero-tee", "profile": string(p), "version": hyphens(v), "content": short(contentID)}
}

func short(contentID string) string { return contentID[:min(8, len(contentID))] }

func hyphens(v release.Version) string { return strings.ReplaceAll(v.String(), ".", "-") }
