package gce_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	api "google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
)

func path(collection, name string) string {
	return fmt.Sprintf("projects/%s/zones/%s/%s/%s", ours, zone, collection, name)
}

func requireCode(t *testing.T, err error, code int) *googleapi.Error {
	t.Helper()
	var e *googleapi.Error
	require.True(t, errors.As(err, &e), "%v", err)
	require.Equal(t, code, e.Code, "%v", err)
	return e
}

func requireReason(t *testing.T, err error, code int, reason string) {
	t.Helper()
	e := requireCode(t, err, code)
	require.Equal(t, reason, e.Errors[0].Reason, "%v", err)
}

// tdx is a VM to measure an image with.
func tdx(name, image string) *api.Instance {
	in := vm(name)
	in.MachineType = "zones/" + zone + "/machineTypes/c3-standard-4"
	in.ConfidentialInstanceConfig = &api.ConfidentialInstanceConfig{ConfidentialInstanceType: "TDX"}
	in.Scheduling = &api.Scheduling{OnHostMaintenance: "TERMINATE"}
	in.Disks[0].AutoDelete, in.Disks[0].InitializeParams.SourceImage = true, image
	on := "TRUE"
	in.Metadata = &api.Metadata{Items: []*api.MetadataItems{{Key: "enable-guest-attributes", Value: &on}}}
	return in
}

const base = "projects/ubuntu-os-cloud/global/images/ubuntu-1"

func TestInstancesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.server.Import(t.Context(), ours, &api.Image{Name: "no-tdx"}, w.base()))
	value, large := "x", strings.Repeat("x", 256<<10+1)
	for name, tc := range map[string]struct {
		change func(in *api.Instance)
		code   int
		says   string
	}{
		"name":          {func(in *api.Instance) { in.Name = "Upper" }, 400, "resource.name"},
		"long name":     {func(in *api.Instance) { in.Name = "a" + strings.Repeat("b", 63) }, 400, "resource.name"},
		"label":         {func(in *api.Instance) { in.Labels["owner"] = "Mero TEE" }, 400, "resource.labels"},
		"machine type":  {func(in *api.Instance) { in.MachineType = "zones/z/machineTypes/c3-standard-5" }, 400, "machine type"},
		"no disk":       {func(in *api.Instance) { in.Disks = nil }, 400, "boot disk"},
		"no image":      {func(in *api.Instance) { in.Disks[0].InitializeParams.SourceImage = "" }, 400, "Boot disk must have a source"},
		"unknown image": {func(in *api.Instance) { in.Disks[0].InitializeParams.SourceImage = base + "0" }, 400, "image resource cannot be found"},
		"small disk":    {func(in *api.Instance) { in.Disks[0].InitializeParams.DiskSizeGb = 5 }, 400, "smaller than the image size"},
		"unknown disk":  {func(in *api.Instance) { in.Disks[0] = &api.AttachedDisk{Boot: true, Source: path("disks", "none")} }, 404, "disks/none"},
		"a disk twice": {func(in *api.Instance) {
			in.Disks = append(in.Disks, &api.AttachedDisk{InitializeParams: in.Disks[0].InitializeParams})
		}, 409, "already exists"},
		"no network":      {func(in *api.Instance) { in.NetworkInterfaces = nil }, 400, "network interface"},
		"unknown network": {func(in *api.Instance) { in.NetworkInterfaces[0].Network = "global/networks/other" }, 400, "network resource"},
		"metadata key": {func(in *api.Instance) {
			in.Metadata = &api.Metadata{Items: []*api.MetadataItems{{Key: "a b", Value: &value}}}
		}, 400, "regex"},
		"metadata twice": {func(in *api.Instance) {
			in.Metadata = &api.Metadata{Items: []*api.MetadataItems{{Key: "a", Value: &value}, {Key: "a", Value: &value}}}
		}, 400, "Duplicate"},
		"large metadata": {func(in *api.Instance) {
			in.Metadata = &api.Metadata{Items: []*api.MetadataItems{{Key: "a", Value: &large}}}
		}, 413, "too large"},
		"short run":          {func(in *api.Instance) { in.Scheduling = &api.Scheduling{MaxRunDuration: &api.Duration{Seconds: 29}} }, 400, "30 seconds"},
		"action":             {func(in *api.Instance) { in.Scheduling = &api.Scheduling{InstanceTerminationAction: "EXPLODE"} }, 400, "termination action"},
		"e2 that terminates": {func(in *api.Instance) { in.Scheduling = &api.Scheduling{OnHostMaintenance: "TERMINATE"} }, 400, "e2 instances"},
		"TDX that migrates":  {func(in *api.Instance) { *in = *tdx("t", base); in.Scheduling = nil }, 400, "onHostMaintenance"},
		"TDX on e2": {func(in *api.Instance) {
			*in = *tdx("t", base)
			in.MachineType, in.Scheduling.Preemptible = "zones/z/machineTypes/e2-standard-4", true
		}, 400, "e2-standard-4"},
		"TDX on c3-highmem":      {func(in *api.Instance) { *in = *tdx("t", base); in.MachineType = "zones/z/machineTypes/c3-highmem-4" }, 400, "c3-highmem-4"},
		"TDX of another's image": {func(in *api.Instance) { *in = *tdx("t", "global/images/no-tdx") }, 400, "TDX compatible image"},
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
	w.succeeds(w.api.Disks.Insert(ours, zone, &api.Disk{Name: "blank"}).Do())
	refused := func(code int, reason string) func(_ any, err error) {
		return func(_ any, err error) { t.Helper(); requireReason(t, err, code, reason) }
	}
	image := func(i api.Image) (any, error) { return w.api.Images.Insert(ours, &i).Do() }
	blank := path("disks", "blank")
	refused(404, "notFound")(w.api.Instances.Get(ours, zone, "none").Do())
	refused(404, "notFound")(w.api.Instances.Delete(ours, zone, "none").Do())
	refused(404, "notFound")(w.api.Instances.Stop(ours, zone, "none").Do())
	refused(404, "notFound")(w.api.Disks.Get(ours, zone, "none").Do())
	refused(404, "notFound")(w.api.Disks.Delete(ours, zone, "none").Do())
	refused(404, "notFound")(w.api.Images.Delete(ours, "none").Do())
	refused(404, "notFound")(w.api.Images.GetFromFamily(ours, "none").Do())
	refused(404, "notFound")(w.api.MachineTypes.Get(ours, zone, "c3-standard-5").Do())
	refused(404, "notFound")(w.api.Networks.Get(ours, "other").Do())
	refused(404, "notFound")(w.api.Subnetworks.Get(ours, "us-central1", "other").Do())
	refused(404, "notFound")(w.api.ZoneOperations.Get(ours, zone, "operation-0").Do())
	refused(404, "notFound")(w.api.Projects.Get("another").Do())
	refused(404, "notFound")(w.api.Images.Delete("ubuntu-os-cloud", "ubuntu-1").Do())
	refused(404, "notFound")(w.api.Images.List("nobodys").Do())
	refused(404, "notFound")(w.api.Firewalls.List(ours).Do())
	refused(404, "notFound")(w.api.Images.SetLabels(ours, "none", &api.GlobalSetLabelsRequest{}).Do())
	refused(404, "notFound")(w.api.Images.Deprecate(ours, "none", &api.DeprecationStatus{}).Do())
	refused(404, "notFound")(w.api.Instances.SetMetadata(ours, zone, "none", &api.Metadata{}).Do())
	refused(404, "notFound")(w.api.Instances.GetSerialPortOutput(ours, zone, "none").Do())
	refused(404, "notFound")(w.api.Instances.GetGuestAttributes(ours, zone, "none").Do())
	refused(400, "invalid")(w.api.Zones.Get(ours, "us-central1-b").Do())
	refused(400, "invalid")(w.api.Regions.Get(ours, "us-east1").Do())
	refused(400, "resourceInUseByAnotherResource")(w.api.Disks.Delete(ours, zone, "a-disk").Do())
	refused(400, "resourceInUseByAnotherResource")(w.insert(&api.Instance{Name: "b", MachineType: "e2-standard-4", NetworkInterfaces: vm("b").NetworkInterfaces,
		Disks: []*api.AttachedDisk{{Boot: true, Source: path("disks", "a-disk")}}}))
	refused(409, "alreadyExists")(w.api.Disks.Insert(ours, zone, &api.Disk{Name: "blank"}).Do())
	refused(400, "invalid")(w.api.Disks.Insert(ours, zone, &api.Disk{Name: "x_y"}).Do())
	refused(400, "invalid")(image(api.Image{Name: "i"}))
	refused(400, "invalid")(image(api.Image{Name: "i", SourceDisk: blank, SourceImage: base}))
	refused(400, "invalid")(image(api.Image{Name: "I", SourceDisk: blank}))
	refused(400, "invalid")(image(api.Image{Name: "i", Family: "F", SourceDisk: blank}))
	refused(400, "invalid")(image(api.Image{Name: "i", Labels: map[string]string{"A": ""}, SourceDisk: blank}))
	refused(400, "invalid")(image(api.Image{Name: "i", GuestOsFeatures: features("TDX"), SourceDisk: blank}))
	refused(404, "notFound")(image(api.Image{Name: "i", SourceDisk: path("disks", "none")}))
	refused(400, "invalid")(w.api.Images.List(ours).Filter("name ~ x").Do())
	refused(400, "invalid")(w.api.Images.List(ours).OrderBy("size").Do())
	refused(400, "invalid")(w.api.Images.List(ours).MaxResults(501).Do())
	refused(400, "invalid")(w.api.Images.List(ours).PageToken("!").Do())
	refused(400, "invalid")(w.api.Instances.Stop(ours, zone, "a").RequestId("1").Do())
	refused(400, "invalid")(w.api.Instances.Stop(ours, zone, "a").RequestId("00000000-0000-0000-0000-000000000000").Do())
	refused(412, "conditionNotMet")(w.api.Instances.SetMetadata(ours, zone, "a", &api.Metadata{Fingerprint: "b2xk"}).Do())
	refused(403, "forbidden")(w.api.Instances.GetGuestAttributes(ours, zone, "a").Do())
	require.Equal(t, []string{path("disks", "a-disk"), blank, path("instances", "a")}, w.server.Resources())
}

// The API refuses what it does not know, which a client library cannot send.
func TestUnknownFieldsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, body := range []string{`{"name":"i","colour":"red"}`, `{"name":`, `{"name":7}`} {
		answer, err := w.client.Post("https://compute.googleapis.com/compute/v1/projects/rehearsal/global/images", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusBadRequest, answer.StatusCode)
	}
	answer, err := w.client.Post("https://compute.googleapis.com/compute/v1/projects/rehearsal/global/images", "application/json",
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
	_, err = w.api.Zones.Get(ours, zone).Do()
	require.NoError(t, err)
	require.NoError(t, end.Close())
	require.Equal(t, http.StatusOK, <-sent)
}
