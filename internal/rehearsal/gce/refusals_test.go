package gce_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// tdx is a VM to measure an image with.
func tdx(name, image string) *computepb.Instance {
	in := vm(name)
	in.MachineType = new("zones/" + zone + "/machineTypes/c3-standard-4")
	in.ConfidentialInstanceConfig = &computepb.ConfidentialInstanceConfig{ConfidentialInstanceType: new("TDX")}
	in.Scheduling = &computepb.Scheduling{OnHostMaintenance: new("TERMINATE")}
	in.Disks[0].AutoDelete, in.Disks[0].InitializeParams.SourceImage = new(true), &image
	in.Disks[0].InitializeParams.DiskType = new("zones/" + zone + "/diskTypes/pd-balanced")
	in.Metadata = &computepb.Metadata{Items: []*computepb.Items{{Key: new("enable-guest-attributes"), Value: new("TRUE")}}}
	return in
}

const base = "projects/ubuntu-os-cloud/global/images/ubuntu-1"

func TestInstancesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.server.Import(ours, &computepb.Image{Name: new("no-tdx")}, w.base()))
	value, large := "x", strings.Repeat("x", 256<<10+1)
	for name, tc := range map[string]struct {
		change func(in *computepb.Instance)
		code   int
		says   string
	}{
		"name": {func(in *computepb.Instance) { in.Name = new("Upper") }, 400, "resource.name"},
		"long name": {func(in *computepb.Instance) { in.Name = new("a" + strings.Repeat("b", 63)) }, 400,
			"resource.name"},
		"label": {func(in *computepb.Instance) { in.Labels["owner"] = "Mero TEE" }, 400, "resource.labels"},
		"machine type": {func(in *computepb.Instance) { in.MachineType = new("zones/z/machineTypes/c3-standard-5") }, 400,
			"Machine type with name 'c3-standard-5' does not exist in zone 'us-central1-a'."},
		"no disk": {func(in *computepb.Instance) { in.Disks = nil }, 400, "boot disk"},
		"no image": {func(in *computepb.Instance) { in.Disks[0].InitializeParams.SourceImage = new("") }, 400,
			"Boot disk must have a source"},
		"unknown image": {func(in *computepb.Instance) { in.Disks[0].InitializeParams.SourceImage = new(base + "0") }, 400,
			"Invalid value for field 'resource.disks[0].initializeParams.sourceImage': '" + base +
				"0'. The referenced image resource cannot be found."},
		"small disk": {func(in *computepb.Instance) { in.Disks[0].InitializeParams.DiskSizeGb = new(int64(5)) }, 400,
			"smaller than the image size"},
		"unknown disk": {func(in *computepb.Instance) {
			in.Disks[0] = &computepb.AttachedDisk{Boot: new(true), Source: new(path("disks", "none"))}
		}, 404, "disks/none"},
		"a second disk": {func(in *computepb.Instance) { in.Disks = append(in.Disks, in.Disks[0]) }, 400, "boot disk"},
		"no network":    {func(in *computepb.Instance) { in.NetworkInterfaces = nil }, 400, "network interface"},
		"unknown network": {func(in *computepb.Instance) { in.NetworkInterfaces[0].Network = new("global/networks/other") },
			400, "network resource"},
		"metadata key": {func(in *computepb.Instance) {
			in.Metadata = &computepb.Metadata{Items: []*computepb.Items{{Key: new("a b"), Value: &value}}}
		}, 400, "regex"},
		"metadata twice": {func(in *computepb.Instance) {
			in.Metadata = &computepb.Metadata{Items: []*computepb.Items{{Key: new("a"), Value: &value},
				{Key: new("a"), Value: &value}}}
		}, 400, "Duplicate"},
		"large metadata": {func(in *computepb.Instance) {
			in.Metadata = &computepb.Metadata{Items: []*computepb.Items{{Key: new("a"), Value: &large}}}
		}, 413, "too large"},
		"short run": {func(in *computepb.Instance) {
			in.Scheduling = &computepb.Scheduling{MaxRunDuration: &computepb.Duration{Seconds: new(int64(29))}}
		}, 400, "30 seconds"},
		"action": {func(in *computepb.Instance) {
			in.Scheduling = &computepb.Scheduling{InstanceTerminationAction: new("EXPLODE")}
		}, 400, "termination action"},
		"e2 that terminates": {func(in *computepb.Instance) {
			in.Scheduling = &computepb.Scheduling{OnHostMaintenance: new("TERMINATE")}
		}, 400, "e2 instances"},
		"TDX that migrates": {func(in *computepb.Instance) {
			proto.Reset(in)
			proto.Merge(in,
				tdx("t", base))
			in.Scheduling = nil
		}, 400, "onHostMaintenance"},
		"C3 with another network interface": {func(in *computepb.Instance) {
			proto.Reset(in)
			proto.Merge(in, tdx("t", base))
			in.NetworkInterfaces[0].NicType = new("VIRTIO_NET")
		}, 400, "resource.networkInterfaces[0].nicType"},
		"C3 with a SCSI disk": {func(in *computepb.Instance) {
			proto.Reset(in)
			proto.Merge(in, tdx("t", base))
			in.Disks[0].Interface = new("SCSI")
		}, 400, "resource.disks[0].interface"},
		"TDX on e2": {func(in *computepb.Instance) {
			proto.Reset(in)
			proto.Merge(in, tdx("t", base))
			in.MachineType, in.Scheduling.Preemptible = new("zones/z/machineTypes/e2-standard-4"), new(true)
		}, 400, "e2-standard-4"},
		"TDX on c3-highmem": {func(in *computepb.Instance) {
			proto.Reset(in)
			proto.Merge(in, tdx("t", base))
			in.MachineType = new("zones/z/machineTypes/c3-highmem-4")
		}, 400, "c3-highmem-4"},
		"TDX of another's image": {func(in *computepb.Instance) {
			proto.Reset(in)
			proto.Merge(in,
				tdx("t", "global/images/no-tdx"))
		}, 400, "TDX compatible image"},
	} {
		t.Run(name, func(t *testing.T) {
			in := vm("good")
			tc.change(in)
			_, err := w.insert(in)
			require.ErrorContains(t, err, tc.says)
			_ = requireCode(t, err, tc.code)
		})
	}
	require.Equal(t, []string{"projects/rehearsal/global/images/no-tdx"}, w.server.Resources(), "a refusal leaves nothing")
	w.succeeds(w.insert(tdx("t", base)))
	spec, _ := w.machines.last()
	require.True(t, spec.Confidential)
	_, err := w.insert(vm("t"))
	requireReason(t, err, 409, "alreadyExists")
}

func TestOtherRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("blank"), SizeGb: new(int64(10))}))
	refused := func(code int, reason string) func(_ any, err error) {
		return func(_ any, err error) { t.Helper(); requireReason(t, err, code, reason) }
	}
	image := func(i *computepb.Image) (any, error) { return w.insertImage(i) }
	blank := path("disks", "blank")
	refused(404, "notFound")(w.instance("none"))
	refused(404, "notFound")(w.delete(path("instances", "none")))
	refused(404, "notFound")(w.disk("none"))
	refused(404, "notFound")(w.delete(path("disks", "none")))
	refused(404, "notFound")(w.delete(imagePath("none")))
	refused(404, "notFound")(w.newest(ours, "none"))
	refused(404, "notFound")(get(w, path("machineTypes", "c3-standard-5"), &computepb.MachineType{}))
	refused(404, "notFound")(get(w, path("operations", "operation-0"), &computepb.Operation{}))
	refused(404, "notFound")(get(w, "projects/another", &computepb.Project{}))
	refused(403, "forbidden")(w.delete(base))
	refused(404, "notFound")(w.images("nobodys"))
	refused(404, "notFound")(get(w, "projects/"+ours+"/global/firewalls", &computepb.FirewallList{}))
	refused(404, "notFound")(w.deprecate("none", &computepb.DeprecationStatus{}))
	refused(404, "notFound")(w.serial("none"))
	refused(404, "notFound")(w.guestAttributes("none"))
	refused(400, "invalid")(get(w, "projects/"+ours+"/zones/us-central1-b", &computepb.Zone{}))
	refused(400, "resourceInUseByAnotherResource")(w.delete(path("disks", "a-disk")))
	refused(400, "resourceInUseByAnotherResource")(w.insert(&computepb.Instance{Name: new("b"),
		MachineType: new("e2-standard-4"), NetworkInterfaces: vm("b").NetworkInterfaces,
		Disks: []*computepb.AttachedDisk{{Boot: new(true), Source: new(path("disks", "a-disk"))}}}))
	refused(409, "alreadyExists")(w.insertDisk(&computepb.Disk{Name: new("blank"), SizeGb: new(int64(10))}))
	refused(400, "invalid")(w.insertDisk(&computepb.Disk{Name: new("x_y"), SizeGb: new(int64(10))}))
	refused(400, "invalid")(image(&computepb.Image{Name: new("i")}))
	refused(400, "invalid")(image(&computepb.Image{Name: new("i"), SourceDisk: new(blank), SourceImage: new(base)}))
	refused(400, "invalid")(image(&computepb.Image{Name: new("I"), SourceDisk: new(blank)}))
	refused(400, "invalid")(image(&computepb.Image{Name: new("i"), Family: new("F"), SourceDisk: new(blank)}))
	refused(400, "invalid")(image(&computepb.Image{Name: new("i"), Labels: map[string]string{"A": ""},
		SourceDisk: new(blank)}))
	refused(400, "invalid")(image(&computepb.Image{Name: new("i"), GuestOsFeatures: features("TDX"),
		SourceDisk: new(blank)}))
	refused(404, "notFound")(image(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "none"))}))
	refused(400, "invalid")(w.images(ours, "filter", "name ~ x"))
	refused(400, "invalid")(w.images(ours, "maxResults", "1"))
	refused(400, "invalid")(w.images(ours, "orderBy", "size"))
	refused(400, "invalid")(w.images(ours, "maxResults", "501"))
	refused(400, "invalid")(w.images(ours, "pageToken", "!"))
	refused(400, "invalid")(w.delete(path("instances", "a"), "requestId", "1"))
	refused(400, "invalid")(w.delete(path("instances", "a"), "requestId", "00000000-0000-0000-0000-000000000000"))
	refused(403, "forbidden")(w.guestAttributes("a"))
	require.Equal(t, []string{path("disks", "a-disk"), blank, path("instances", "a")}, w.server.Resources())
}

// A disk is pd-standard unless somebody says otherwise, and C3 machines boot from none.
func TestDisksThatAMachineTypeDoesNotTake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tc := range []struct{ machine, disk, kind string }{
		{"c3-standard-4", "", "pd-standard"},
		{"c3-standard-4", "pd-standard", "pd-standard"},
		{"c3-standard-4", "pd-extreme", "pd-extreme"},
		{"e2-standard-4", "hyperdisk-balanced", "hyperdisk-balanced"},
	} {
		in := vm("refused")
		in.MachineType = new("zones/" + zone + "/machineTypes/" + tc.machine)
		if tc.disk != "" {
			in.Disks[0].InitializeParams.DiskType = new("zones/" + zone + "/diskTypes/" + tc.disk)
		}
		_, err := w.insert(in)
		requireReason(t, err, 400, "badRequest")
		require.ErrorContains(t, err, tc.kind+" disk type cannot be used by "+tc.machine+" machine type.")
	}
	require.Empty(t, w.server.Resources(), "a refusal leaves nothing")
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("old"), SourceImage: new(base)}))
	disk, err := w.disk("old")
	require.NoError(t, err)
	require.Equal(t, "pd-standard", linked(disk.GetType())[len(scope+"/diskTypes/"):])
	in := vm("attached")
	in.MachineType = new("zones/" + zone + "/machineTypes/c3-standard-4")
	in.Disks[0] = &computepb.AttachedDisk{Boot: new(true), Source: new(path("disks", "old"))}
	_, err = w.insert(in)
	requireReason(t, err, 400, "badRequest")
	_, err = w.insertDisk(&computepb.Disk{Name: new("new"), Type: new("zones/" + zone + "/diskTypes/pd-fast")})
	requireReason(t, err, 400, "invalid")
	for _, kind := range []string{"pd-balanced", "pd-ssd", "hyperdisk-balanced"} {
		in := tdx("c3-"+kind, base)
		in.Disks[0].InitializeParams.DiskType = new("zones/" + zone + "/diskTypes/" + kind)
		w.succeeds(w.insert(in))
	}
}

// The API refuses what it does not know, which a client library cannot send.
func TestUnknownFieldsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, body := range []string{`{"name":"i","colour":"red"}`, `{"name":"i","guestOsFeatures":[{"color":""}]}`,
		`{"name":"i","source_disk":"d"}`, `{"name":`, `{"name":7}`} {
		answer, err := w.client.Post("https://compute.googleapis.com/compute/v1/projects/rehearsal/global/images",
			"application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusBadRequest, answer.StatusCode)
	}
	answer, err := w.client.Post("https://compute.googleapis.com/compute/v1/projects/rehearsal/global/images",
		"application/json",
		strings.NewReader(strings.Repeat(" ", 4<<20+1)))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
	require.Empty(t, w.server.Resources())
}

// A body that does not come holds nobody else up.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(tdx("a", base)))
	spec, _ := w.machines.last()
	body, end := io.Pipe()
	sent := make(chan int)
	go func() {
		code, _ := w.inside(spec, http.MethodPut, "instance/guest-attributes/a/b", body)
		sent <- code
	}()
	_, err := end.Write([]byte("slow"))
	require.NoError(t, err)
	err = w.zone()
	require.NoError(t, err)
	require.NoError(t, end.Close())
	require.Equal(t, http.StatusOK, <-sent)
}
