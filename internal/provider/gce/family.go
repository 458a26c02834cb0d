package gce

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Family is a family of images and its newest image that is not deprecated.
type Family struct{ Name, Newest string }

// Families lists those families of a project whose newest image boots as a TDX
// VM, by name. Everybody may ask that of a public project.
func (c *Client) Families(ctx context.Context, project string) ([]Family, error) {
	newest := map[string]*computepb.Image{}
	doing, token := "listing the images of "+project, ""
	for range maxPages {
		var answer computepb.ImageList
		err := c.call(ctx, doing, func(ctx context.Context) error {
			answer.Reset()
			return c.list(ctx, project, "global/images", "", token, &answer)
		})
		if err != nil {
			return nil, err
		}
		for _, i := range answer.Items {
			if known := newest[i.GetFamily()]; bootsTDX(i) && later(i, known) {
				newest[i.GetFamily()] = i
			}
		}
		if token = answer.GetNextPageToken(); token == "" {
			return families(newest), nil
		}
	}
	return nil, &fault.Error{Code: fault.General, Message: "gce: " + doing + ": it has no end"}
}

// bootsTDX says that a TDX VM can be booted from the image, now and without its project's leave.
func bootsTDX(i *computepb.Image) bool {
	state := i.GetDeprecated().GetState()
	return i.GetFamily() != "" && (state == "" || state == "ACTIVE") &&
		slices.Contains(readImage(i).Features, "TDX_CAPABLE")
}

func later(i, than *computepb.Image) bool {
	return than == nil || readImage(i).Created.After(readImage(than).Created)
}

func families(newest map[string]*computepb.Image) (out []Family) {
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		out = append(out, Family{Name: words(name, 63), Newest: words(cmp.Or(newest[name].GetName(), "?"), 63)})
	}
	return out
}
