package gce_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

const balanced = "zones/" + zone + "/diskTypes/pd-balanced"

// attached is a disk that exists, as Packer attaches it.
func attached(name string) *computepb.AttachedDisk {
	return &computepb.AttachedDisk{DeviceName: new("mero"), Interface: new("NVME"), Mode: new("READ_WRITE"),
		Type: new("PERSISTENT"), Source: new(path("disks", name))}
}

// builder is a C3 machine with a second disk.
func builder(name, disk string) *computepb.Instance {
	in := vm(name)
	in.MachineType = new("zones/" + zone + "/machineTypes/c3-standard-4")
	in.Disks[0].InitializeParams.DiskType = new(balanced)
	in.Disks = append(in.Disks, attached(disk))
	return in
}

// tdxOf boots an image of ours, of which the disk is as large as the image.
func tdxOf(name, image string) *computepb.Instance { return tdx(name, "global/images/"+image) }

func (w *world) blank(name string, size int64) {
	w.Helper()
	w.succeeds(w.insertDisk(&computepb.Disk{Name: &name, SizeGb: &size, Type: new(balanced),
		Description: new("created by Packer")}))
}

// An image is made of the second disk of a machine, and another boots from it:
// the bytes are those that were written, the holes are still holes.
func TestASecondDiskBecomesAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blank("second", 2)
	w.succeeds(w.insert(builder("build", "second")))
	spec, _ := w.machines.last()
	device := spec.Devices["mero"]
	require.Len(t, spec.Devices, 1)
	info, err := os.Stat(device)
	require.NoError(t, err)
	require.EqualValues(t, 2<<30, info.Size())
	writeAt(t, device, 1<<30, "in the middle")
	writeAt(t, device, 2<<30-3, "end")

	in, err := w.instance("build")
	require.NoError(t, err)
	require.Equal(t, []any{"mero", int32(1), false, false, "READ_WRITE"}, []any{in.Disks[1].GetDeviceName(),
		in.Disks[1].GetIndex(), in.Disks[1].GetBoot(), in.Disks[1].GetAutoDelete(), in.Disks[1].GetMode()})
	require.Equal(t, "persistent-disk-0", in.Disks[0].GetDeviceName())
	_, err = w.delete(path("disks", "second"))
	requireReason(t, err, 400, "resourceInUseByAnotherResource")
	_, err = w.insert(builder("other", "second"))
	requireReason(t, err, 400, "resourceInUseByAnotherResource")
	w.succeeds(w.delete(path("instances", "build")))
	disk, err := w.disk("second")
	require.NoError(t, err, "it does not go with the machine")
	require.Empty(t, disk.Users)

	w.succeeds(w.insertImage(&computepb.Image{Name: new("made"), SourceDisk: disk.SelfLink, Architecture: new("X86_64"),
		GuestOsFeatures: features("TDX_CAPABLE")}))
	w.succeeds(w.delete(path("disks", "second")))
	require.NoFileExists(t, device)
	image, err := w.image("made")
	require.NoError(t, err)
	require.EqualValues(t, 2, image.GetDiskSizeGb())
	require.Len(t, image.GuestOsFeatures, 1, "a blank disk has none of its own")
	file, ok := w.server.Image(ours, "made")
	require.True(t, ok)
	require.Equal(t, "in the middle", readAt(t, file, 1<<30, 13))
	require.Equal(t, "end", readAt(t, file, 2<<30-3, 3))
	require.Less(t, allocated(t, file), int64(1<<20))

	w.succeeds(w.insert(tdxOf("node", "made")))
	spec, _ = w.machines.last()
	require.True(t, same(t, file, spec.Disk), "nothing writes to a boot disk: no copy")
	require.Empty(t, spec.Devices)
}

// A machine that may write to a disk of an image does not write to the image.
func TestAnImageIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blank("d", 1)
	w.succeeds(w.insertImage(&computepb.Image{Name: new("made"), SourceDisk: new(path("disks", "d"))}))
	file, _ := w.server.Image(ours, "made")
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("second"), SourceImage: new("global/images/made"),
		Type: new(balanced)}))
	w.succeeds(w.insert(builder("build", "second")))
	spec, _ := w.machines.last()
	writeAt(t, spec.Devices["mero"], 0, "written")
	require.Equal(t, strings.Repeat("\x00", 7), readAt(t, file, 0, 7))
}

// What is made with a machine goes with it, if it says so.
func TestDisksThatGoWithTheirMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := builder("build", "")
	in.Disks[0].AutoDelete = new(true)
	in.Disks[1] = &computepb.AttachedDisk{AutoDelete: new(true),
		InitializeParams: &computepb.AttachedDiskInitializeParams{DiskSizeGb: new(int64(10)), DiskType: new(balanced)}}
	in.Disks = append(in.Disks, proto.CloneOf(in.Disks[1]))
	in.Disks[2].AutoDelete = nil
	w.succeeds(w.insert(in))
	spec, _ := w.machines.last()
	require.Contains(t, spec.Devices, "persistent-disk-1")
	require.Contains(t, spec.Devices, "persistent-disk-2")
	w.succeeds(w.delete(path("instances", "build")))
	require.Equal(t, []string{path("disks", "build-2")}, w.server.Resources())
	require.Equal(t, []string{"disks/build-2.json", "disks/build-2.raw"}, files(t, w.state, "disks", "instances"))
}

// A machine that cannot be made takes the disks with it that were made for it, and no other.
func TestDisksOfAMachineThatIsNotMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blank("second", 1)
	w.machines.broken["Boot"] = os.ErrInvalid
	require.NotNil(t, w.done(w.insert(builder("build", "second"))).Error)
	require.Equal(t, []string{path("disks", "second")}, w.server.Resources())
	disk, err := w.disk("second")
	require.NoError(t, err)
	require.Empty(t, disk.Users)
}

func TestDisksThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blank("second", 1)
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("folder"), SourceImage: new(base), Type: new(balanced)}))
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("slow"), SizeGb: new(int64(1))}))
	made := func(p *computepb.AttachedDiskInitializeParams) func(*computepb.Instance) {
		return func(in *computepb.Instance) {
			in.Disks[1].Source, in.Disks[1].InitializeParams = nil, p
		}
	}
	for name, tc := range map[string]struct {
		change func(in *computepb.Instance)
		says   string
	}{
		"two boot disks": {func(in *computepb.Instance) { in.Disks[1].Boot = new(true) }, "Only one boot disk"},
		"no boot disk":   {func(in *computepb.Instance) { in.Disks = in.Disks[1:] }, "first disk must be the boot disk"},
		"an interface":   {func(in *computepb.Instance) { in.Disks[1].Interface = new("SCSI") }, "disks[1].interface"},
		"a scratch disk": {func(in *computepb.Instance) { in.Disks[1].Type = new("SCRATCH") }, "persistent disks alone"},
		"reading only":   {func(in *computepb.Instance) { in.Disks[1].Mode = new("READ_ONLY") }, "disks[1].mode"},
		"a path":         {func(in *computepb.Instance) { in.Disks[1].DeviceName = new("../x") }, "disks[1].deviceName"},
		"a device twice": {func(in *computepb.Instance) { in.Disks[0].DeviceName = new("mero") }, "already used"},
		"a disk twice": {func(in *computepb.Instance) {
			in.Disks = append(in.Disks, attached("second"))
			in.Disks[2].DeviceName = new("again")
		}, "attached twice"},
		"both": {func(in *computepb.Instance) {
			in.Disks[1].InitializeParams = in.Disks[0].InitializeParams
		}, "Only one of"},
		"a public image": {func(in *computepb.Instance) { in.Disks[1].Source = new(path("disks", "folder")) }, "no device"},
		"a new one of a public image": {made(&computepb.AttachedDiskInitializeParams{SourceImage: new(base),
			DiskType: new(balanced)}), "no device"},
		"no size": {made(&computepb.AttachedDiskInitializeParams{DiskType: new(balanced)}), "must say its size"},
		"small": {made(&computepb.AttachedDiskInitializeParams{DiskType: new(balanced), DiskSizeGb: new(int64(9))}),
			"disks[1].initializeParams.diskSizeGb"},
		"a kind": {func(in *computepb.Instance) { in.Disks[1].Source = new(path("disks", "slow")) },
			"pd-standard disk type cannot be used by c3-standard-4 machine type."},
	} {
		t.Run(name, func(t *testing.T) {
			in := builder("build", "second")
			tc.change(in)
			_, err := w.insert(in)
			_ = requireCode(t, err, 400)
			require.ErrorContains(t, err, tc.says)
		})
	}
	_, err := w.instance("build")
	_ = requireCode(t, err, 404)
	for says, disk := range map[string]*computepb.Disk{
		"must say its size":      {},
		"Must be greater than 0": {SizeGb: new(int64(0))},
		"Disk size cannot be smaller than 4 GB for disk type hyperdisk-balanced.": {SizeGb: new(int64(3)),
			Type: new("zones/" + zone + "/diskTypes/hyperdisk-balanced")},
		"cannot be larger than 65536 GB": {SizeGb: new(int64(65537))},
	} {
		disk.Name = new("refused")
		_, err := w.insertDisk(disk)
		_ = requireCode(t, err, 400)
		require.ErrorContains(t, err, says)
	}
}

// A machine with data disks takes more kinds than it boots from.
func TestKindsOfSecondDisks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const kind = "zones/" + zone + "/diskTypes/hyperdisk-throughput"
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("second"), SizeGb: new(int64(2048)), Type: new(kind)}))
	w.succeeds(w.insert(builder("build", "second")))
	spec, _ := w.machines.last()
	require.Zero(t, allocated(t, spec.Devices["mero"]))
}

func writeAt(t *testing.T, path string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(text), at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func readAt(t *testing.T, path string, at int64, n int) string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	out := make([]byte, n)
	_, err = f.ReadAt(out, at)
	require.NoError(t, err)
	return string(out)
}

// same says that two names are of one file.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	one, err := os.Stat(a)
	require.NoError(t, err)
	two, err := os.Stat(b)
	require.NoError(t, err)
	return os.SameFile(one, two)
}

// A raw file that is imported is kept as one, a copy of its own.
func TestImportARawDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	from := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, os.WriteFile(from, []byte("a disk"), 0o600))
	require.NoError(t, os.Truncate(from, 1<<30+1))
	require.NoError(t, w.server.Import(ours, &computepb.Image{Name: new("i"), GuestOsFeatures: features("TDX_CAPABLE")},
		from))
	writeAt(t, from, 0, "another")
	image, err := w.image("i")
	require.NoError(t, err)
	require.EqualValues(t, 2, image.GetDiskSizeGb())
	w.succeeds(w.insert(tdxOf("node", "i")))
	spec, _ := w.machines.last()
	require.Equal(t, "a disk", readAt(t, spec.Disk, 0, 6))
	w.succeeds(w.delete(imagePath("i")))
	require.Equal(t, "a disk", readAt(t, spec.Disk, 0, 6), "a disk stays when its image goes")
	require.Error(t, w.server.Import(ours, &computepb.Image{Name: new("j")}, from+"-.raw"))
}
