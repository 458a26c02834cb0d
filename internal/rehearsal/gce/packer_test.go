package gce_test

import (
	"os"
	"regexp"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
)

// The googlecompute builder's calls in its order.
func TestPackerBuildsAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const name, disk, image = "packer-1", "packer-1-disk", "mero-tee-debug-1-0-0-0a1b2c3d"

	_, err := w.image(image)
	_ = requireCode(t, err, 404)
	p, err := get(w, "projects/"+ours, &computepb.Project{})
	require.NoError(t, err)
	require.NotNil(t, p.CommonInstanceMetadata, "Packer reads through it")
	source, err := w.newest("ubuntu-os-cloud", "ubuntu")
	require.NoError(t, err)
	require.NoError(t, w.zone())
	machineType, err := get(w, path("machineTypes", "c3-standard-4"), &computepb.MachineType{})
	require.NoError(t, err)

	keys, empty := "packer:ssh-ed25519 AAAA packer\nother:ssh-rsa BBBB", ""
	op, err := w.insert(&computepb.Instance{Name: new(name), Description: new("New instance created by Packer"),
		MachineType:             machineType.SelfLink,
		AdvancedMachineFeatures: &computepb.AdvancedMachineFeatures{},
		Disks: []*computepb.AttachedDisk{{Type: new("PERSISTENT"), Mode: new("READ_WRITE"),
			Kind: new("compute#attachedDisk"), Boot: new(true),
			InitializeParams: &computepb.AttachedDiskInitializeParams{SourceImage: source.SelfLink, DiskName: new(disk),
				DiskSizeGb: new(int64(20)),
				DiskType:   new("zones/" + zone + "/diskTypes/pd-balanced")}}},
		Metadata: &computepb.Metadata{Items: []*computepb.Items{{Key: new("ssh-keys"), Value: &keys},
			{Key: new("startup-script"), Value: &empty}}},
		NetworkInterfaces: []*computepb.NetworkInterface{{
			AccessConfigs: []*computepb.AccessConfig{{Name: new("AccessConfig created by Packer"), Type: new("ONE_TO_ONE_NAT")}},
			Network:       new("global/networks/default")}},
		Scheduling:      &computepb.Scheduling{OnHostMaintenance: new("TERMINATE")},
		ServiceAccounts: []*computepb.ServiceAccount{{}}, Tags: &computepb.Tags{}})
	require.NoError(t, err)
	require.Equal(t, computepb.Operation_PENDING, op.GetStatus())
	w.succeeds(w.operation(op))
	in, err := w.instance(name)
	require.NoError(t, err)
	require.Equal(t, "RUNNING", in.GetStatus())

	spec, booted := w.machines.last()
	require.Equal(t, spec.Address, in.NetworkInterfaces[0].AccessConfigs[0].GetNatIP())
	require.Regexp(t, `^127\.\d+\.\d+\.\d+$`, spec.Address)
	require.Equal(t, map[string]string{"packer": "ssh-ed25519 AAAA packer\n", "other": "ssh-rsa BBBB\n"}, spec.Users)
	require.False(t, spec.Confidential)

	_, err = w.insertImage(&computepb.Image{Name: new(image), SourceDisk: new("/compute/v1/" + path("disks", disk))})
	requireReason(t, err, 400, "resourceInUseByAnotherResource")
	serial, err := w.serial(name)
	require.NoError(t, err)
	require.Equal(t, "booting packer-1\n", serial.GetContents())
	w.succeeds(w.delete(path("instances", name)))
	require.True(t, booted.stopped())
	require.Equal(t, []string{path("disks", disk)}, w.server.Resources(), "its disk is not deleted with it")

	w.succeeds(w.insertImage(&computepb.Image{Name: new(image), Family: new("mero-tee-debug"),
		Labels:          map[string]string{"owner": "mero-tee"},
		GuestOsFeatures: features("UEFI_COMPATIBLE", "GVNIC", "TDX_CAPABLE"),
		SourceDisk:      new("/compute/v1/" + path("disks", disk)), SourceType: new("RAW")}))
	made, err := w.image(image)
	require.NoError(t, err)
	require.Equal(t, "READY", made.GetStatus())
	require.EqualValues(t, 20, made.GetDiskSizeGb())
	require.Len(t, made.GuestOsFeatures, 3)
	w.succeeds(w.deprecate(image, &computepb.DeprecationStatus{}))
	w.succeeds(w.delete(path("disks", disk)))
	require.Equal(t, []string{"projects/rehearsal/global/images/" + image}, w.server.Resources())

	file, ok := w.server.Image(ours, image)
	require.True(t, ok)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "base unpacked captured", string(data))
	_, err = w.insertImage(&computepb.Image{Name: new(image), SourceDisk: new(path("disks", disk))})
	requireReason(t, err, 409, "alreadyExists")
}

// With omit_external_ip Packer sends a null in the list of access configurations.
func TestPackerWithoutAnExternalAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in, err := protojson.Marshal(vm("inner"))
	require.NoError(t, err)
	sent := regexp.MustCompile(`"accessConfigs":\s*\[.*?\]`).ReplaceAllString(string(in), `"accessConfigs":[null]`)
	require.Contains(t, sent, "[null]")
	w.succeeds(w.insert(sent))
	got, err := w.instance("inner")
	require.NoError(t, err)
	spec, _ := w.machines.last()
	require.Equal(t, spec.Address, got.NetworkInterfaces[0].GetNetworkIP())
	require.Empty(t, got.NetworkInterfaces[0].AccessConfigs)
}
