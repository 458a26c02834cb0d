package gce_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	api "google.golang.org/api/compute/v1"
)

// The googlecompute builder's calls in its order, by the client library that it uses.
func TestPackerBuildsAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const name, disk, image = "packer-1", "packer-1-disk", "mero-tee-debug-1-0-0-0a1b2c3d"

	_, err := w.api.Images.Get(ours, image).Do()
	_ = requireCode(t, err, 404)
	p, err := w.api.Projects.Get(ours).Do()
	require.NoError(t, err)
	require.NotNil(t, p.CommonInstanceMetadata, "Packer reads through it")
	source, err := w.api.Images.GetFromFamily("ubuntu-os-cloud", "ubuntu").Do()
	require.NoError(t, err)
	z, err := w.api.Zones.Get(ours, zone).Do()
	require.NoError(t, err)
	machineType, err := w.api.MachineTypes.Get(ours, z.Name, "c3-standard-4").Do()
	require.NoError(t, err)

	keys, empty := "packer:ssh-ed25519 AAAA packer\nother:ssh-rsa BBBB", ""
	op, err := w.insert(&api.Instance{Name: name, Description: "New instance created by Packer", MachineType: machineType.SelfLink,
		AdvancedMachineFeatures: &api.AdvancedMachineFeatures{},
		Disks: []*api.AttachedDisk{{Type: "PERSISTENT", Mode: "READ_WRITE", Kind: "compute#attachedDisk", Boot: true,
			InitializeParams: &api.AttachedDiskInitializeParams{SourceImage: source.SelfLink, DiskName: disk, DiskSizeGb: 20,
				DiskType: "zones/" + zone + "/diskTypes/pd-balanced"}}},
		Metadata: &api.Metadata{Items: []*api.MetadataItems{{Key: "ssh-keys", Value: &keys}, {Key: "startup-script", Value: &empty}}},
		NetworkInterfaces: []*api.NetworkInterface{{AccessConfigs: []*api.AccessConfig{{Name: "AccessConfig created by Packer", Type: "ONE_TO_ONE_NAT"}},
			Network: "global/networks/default"}},
		Scheduling: &api.Scheduling{OnHostMaintenance: "TERMINATE"}, ServiceAccounts: []*api.ServiceAccount{{}}, Tags: &api.Tags{}})
	require.NoError(t, err)
	require.Equal(t, "PENDING", op.Status)
	w.succeeds(w.api.ZoneOperations.Get(ours, zone, op.Name).Do())
	in, err := w.api.Instances.Get(ours, zone, name).Do()
	require.NoError(t, err)
	require.Equal(t, "RUNNING", in.Status)

	spec, booted := w.machines.last()
	require.Equal(t, spec.Address, in.NetworkInterfaces[0].AccessConfigs[0].NatIP)
	require.Regexp(t, `^127\.\d+\.\d+\.\d+$`, spec.Address)
	require.Equal(t, map[string]string{"packer": "ssh-ed25519 AAAA packer\n", "other": "ssh-rsa BBBB\n"}, spec.Users)
	require.False(t, spec.Confidential)

	_, err = w.api.Images.Insert(ours, &api.Image{Name: image, SourceDisk: "/compute/v1/" + path("disks", disk)}).Do()
	requireReason(t, err, 400, "resourceInUseByAnotherResource")
	serial, err := w.api.Instances.GetSerialPortOutput(ours, zone, name).Do()
	require.NoError(t, err)
	require.Equal(t, "booting packer-1\n", serial.Contents)
	w.succeeds(w.api.Instances.Delete(ours, zone, name).Do())
	require.True(t, booted.stopped())
	require.Equal(t, []string{path("disks", disk)}, w.server.Resources(), "its disk is not deleted with it")

	w.succeeds(w.api.Images.Insert(ours, &api.Image{Name: image, Family: "mero-tee-debug", Labels: map[string]string{"owner": "mero-tee"},
		GuestOsFeatures: features("UEFI_COMPATIBLE", "GVNIC", "TDX_CAPABLE"), SourceDisk: "/compute/v1/" + path("disks", disk), SourceType: "RAW"}).Do())
	made, err := w.api.Images.Get(ours, image).Do()
	require.NoError(t, err)
	require.Equal(t, "READY", made.Status)
	require.EqualValues(t, 20, made.DiskSizeGb)
	require.Len(t, made.GuestOsFeatures, 3)
	w.succeeds(w.api.Images.Deprecate(ours, image, &api.DeprecationStatus{}).Do())
	w.succeeds(w.api.Disks.Delete(ours, zone, disk).Do())
	require.Equal(t, []string{"projects/rehearsal/global/images/" + image}, w.server.Resources())

	file, ok := w.server.Image(ours, image)
	require.True(t, ok)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "base unpacked captured", string(data))
	_, err = w.api.Images.Insert(ours, &api.Image{Name: image, SourceDisk: path("disks", disk)}).Do()
	requireReason(t, err, 409, "alreadyExists")
}

// With omit_external_ip Packer sends a null in the list of access configurations.
func TestPackerWithoutAnExternalAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := vm("inner")
	in.NetworkInterfaces[0].AccessConfigs = []*api.AccessConfig{nil}
	w.succeeds(w.insert(in))
	got, err := w.api.Instances.Get(ours, zone, "inner").Do()
	require.NoError(t, err)
	spec, _ := w.machines.last()
	require.Equal(t, spec.Address, got.NetworkInterfaces[0].NetworkIP)
	require.Empty(t, got.NetworkInterfaces[0].AccessConfigs)
}
