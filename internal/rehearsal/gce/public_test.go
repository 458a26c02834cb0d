package gce_test

import (
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

// publicWorld has Google's public images besides.
func publicWorld(t *testing.T) *world {
	w := newWorld(t)
	state := t.TempDir()
	w.server = newServer(t, gce.Options{State: state, Host: w.machines, Public: true})
	w.connect(w.spy(w.server))
	return w
}

// The base image that builds are pinned to is one that public sources know; the
// spec's example and what has ended are not found, in Google's words.
func TestPublicImages(t *testing.T) {
	t.Parallel()
	w := publicWorld(t)
	pin, err := packer.ReadBase("../../..")
	require.NoError(t, err)
	newest, err := w.newest(pin.Project, pin.Family)
	require.NoError(t, err)
	require.Equal(t, pin.Image, newest.GetName())
	require.Empty(t, newest.GetDeprecated().GetState())
	require.True(t, slices.ContainsFunc(newest.GuestOsFeatures, func(f *computepb.GuestOsFeature) bool {
		return f.GetType() == "TDX_CAPABLE"
	}))
	all, err := w.images(pin.Project)
	require.NoError(t, err)
	active := map[string]int{}
	for _, image := range all.Items {
		_, err := time.Parse(time.RFC3339, image.GetCreationTimestamp())
		require.NoError(t, err)
		require.Greater(t, image.GetCreationTimestamp(), "2020", "each has a date in its name")
		if image.GetDeprecated().GetState() == "" {
			active[image.GetFamily()]++
			continue
		}
		require.Equal(t, "DEPRECATED", image.Deprecated.GetState())
		_, err = w.publicImage(pin.Project, linked(image.Deprecated.GetReplacement())[len("projects/"+
			pin.Project+"/global/images/"):])
		require.NoError(t, err)
	}
	require.Greater(t, len(active), 3)
	for family, n := range active {
		require.Equal(t, 1, n, "one image of family %s is not deprecated", family)
	}

	_, err = w.newest(pin.Project, "ubuntu-2510-amd64") // an interim release, which ended in July 2026
	requireReason(t, err, 404, "notFound")
	require.ErrorContains(t, err,
		"The resource 'projects/ubuntu-os-cloud/global/images/family/ubuntu-2510-amd64' was not found")
	_, err = w.publicImage("confidential-vm-images", "ubuntu-2404-tdx-v20250101")
	requireReason(t, err, 404, "notFound")
	_, err = w.newest("confidential-vm-images", "ubuntu-2404-tdx")
	requireReason(t, err, 404, "notFound")
}

// Nothing boots from an image that is known by name only, until it gets something to boot.
func TestPublicImagesAreNamesUntilTheyAreImported(t *testing.T) {
	t.Parallel()
	w := publicWorld(t)
	pin, err := packer.ReadBase("../../..")
	require.NoError(t, err)
	link := "projects/" + pin.Project + "/global/images/" + pin.Image
	op := w.done(w.insert(tdx("a", link)))
	require.Contains(t, op.GetError().GetErrors()[0].GetMessage(), "by name only")
	require.Empty(t, w.server.Resources())
	require.NoError(t, w.server.Import(pin.Project, &computepb.Image{Name: &pin.Image,
		Description: new("a stand-in")}, w.base()))
	w.succeeds(w.insert(tdx("a", link)))
	held, err := w.publicImage(pin.Project, pin.Image)
	require.NoError(t, err)
	require.Equal(t, "a stand-in", held.GetDescription())
	require.Equal(t, pin.Family, held.GetFamily())
	require.True(t, w.server.Has(pin.Project, pin.Image))
	require.False(t, w.server.Has(pin.Project, pin.Family))
}
