package gce_test

import (
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
)

// An image has the architecture that it says, else its disk's: a blank one has none.
func TestArchitectures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blank("blank", 2)
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("arm"), SizeGb: new(int64(2)), Type: new(balanced),
		Architecture: new("ARM64")}))
	for name, tc := range map[string]struct {
		disk string
		says *string
		want string
	}{
		"silent": {"blank", nil, ""}, "unspecified": {"blank", new("ARCHITECTURE_UNSPECIFIED"), ""},
		"x86": {"blank", new("X86_64"), "X86_64"}, "of-its-disk": {"arm", nil, "ARM64"},
		"unspecified-arm": {"arm", new("ARCHITECTURE_UNSPECIFIED"), "ARM64"}, "another": {"arm", new("X86_64"), "X86_64"},
	} {
		w.succeeds(w.insertImage(&computepb.Image{Name: new(name), SourceDisk: new(path("disks", tc.disk)),
			Architecture: tc.says, GuestOsFeatures: features("TDX_CAPABLE")}))
		made, err := w.image(name)
		require.NoError(t, err)
		require.Equal(t, tc.want, made.GetArchitecture(), name)
	}
	w.succeeds(w.insert(tdxOf("node", "x86")))
	in, err := w.instance("node")
	require.NoError(t, err)
	require.Equal(t, "X86_64", in.Disks[0].GetArchitecture())
	for image, says := range map[string]string{"silent": "The image does not say its architecture",
		"of-its-disk": "Invalid resource usage: 'Requested boot disk architecture (ARM64) is not compatible with " +
			"machine type architecture (X86_64).'"} {
		_, err := w.insert(tdxOf("refused", image))
		require.ErrorContains(t, err, says)
		_ = requireCode(t, err, 400)
	}
}

func TestUnknownArchitectures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blank("blank", 2)
	for _, name := range []string{"x86_64", "AMD64", "X86_64 ", ""} {
		_, err := w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "blank")),
			Architecture: &name})
		require.ErrorContains(t, err, "Invalid value for field 'resource.architecture': '"+name+"'")
		_ = requireCode(t, err, 400)
		_, err = w.insertDisk(&computepb.Disk{Name: new("d"), SizeGb: new(int64(2)), Architecture: &name})
		require.ErrorContains(t, err, "Invalid value for field 'resource.architecture': '"+name+"'")
		_ = requireCode(t, err, 400)
	}
	require.Equal(t, []string{path("disks", "blank")}, w.server.Resources(), "a refusal leaves nothing")
}
