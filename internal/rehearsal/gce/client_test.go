package gce_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
	api "google.golang.org/api/compute/v1"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

// measured is the VM that production boots to measure an image.
func measured(name, image string) *computepb.Instance {
	return &computepb.Instance{Name: proto.String(name), MachineType: proto.String("zones/" + zone + "/machineTypes/c3-standard-4"),
		Labels:                     map[string]string{"owner": "mero-tee", "run": "node-1", "expires": "1700000000"},
		ConfidentialInstanceConfig: &computepb.ConfidentialInstanceConfig{ConfidentialInstanceType: proto.String("TDX")},
		Scheduling: &computepb.Scheduling{OnHostMaintenance: proto.String("TERMINATE"), AutomaticRestart: proto.Bool(false),
			MaxRunDuration: &computepb.Duration{Seconds: proto.Int64(1800)}, InstanceTerminationAction: proto.String("DELETE")},
		ShieldedInstanceConfig: &computepb.ShieldedInstanceConfig{EnableSecureBoot: proto.Bool(false), EnableVtpm: proto.Bool(true)},
		Disks: []*computepb.AttachedDisk{{Boot: proto.Bool(true), AutoDelete: proto.Bool(true), Interface: proto.String("NVME"),
			InitializeParams: &computepb.AttachedDiskInitializeParams{SourceImage: proto.String(image), DiskType: proto.String("zones/" + zone + "/diskTypes/pd-balanced")}}},
		NetworkInterfaces: []*computepb.NetworkInterface{{Network: proto.String("global/networks/default"), NicType: proto.String("GVNIC")}},
		Metadata: &computepb.Metadata{Items: []*computepb.Items{{Key: proto.String("enable-guest-attributes"), Value: proto.String("TRUE")},
			{Key: proto.String("mero-nonce"), Value: proto.String("00ff")}}}}
}

func TestTheCloudClientMeasuresAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.machines.guest = func(_ context.Context, spec gce.Spec) { // the agent
		code, nonce := w.inside(spec, http.MethodGet, "instance/attributes/mero-nonce", nil)
		if code == http.StatusOK {
			w.inside(spec, http.MethodPut, "instance/guest-attributes/mero/report", strings.NewReader("quote of "+nonce))
		}
	}
	ctx := t.Context()
	instances, err := compute.NewInstancesRESTClient(ctx, option.WithHTTPClient(w.client))
	require.NoError(t, err)
	defer instances.Close() //nolint:errcheck // nothing to lose
	images, err := compute.NewImagesRESTClient(ctx, option.WithHTTPClient(w.client))
	require.NoError(t, err)
	defer images.Close() //nolint:errcheck // nothing to lose

	image, err := images.GetFromFamily(ctx, &computepb.GetFromFamilyImageRequest{Project: "ubuntu-os-cloud", Family: "ubuntu"})
	require.NoError(t, err)
	op, err := instances.Insert(ctx, &computepb.InsertInstanceRequest{Project: ours, Zone: zone, InstanceResource: measured("measure-1", image.GetSelfLink())})
	require.NoError(t, err)
	require.False(t, op.Done(), "the answer does not wait for the end")
	require.NoError(t, op.Wait(ctx))
	in, err := instances.Get(ctx, &computepb.GetInstanceRequest{Project: ours, Zone: zone, Instance: "measure-1"})
	require.NoError(t, err)
	require.Equal(t, "RUNNING", in.GetStatus())
	require.Equal(t, []string{path("disks", "measure-1"), path("instances", "measure-1")}, w.server.Resources())

	read := &computepb.GetGuestAttributesInstanceRequest{Project: ours, Zone: zone, Instance: "measure-1", QueryPath: proto.String("mero/")}
	require.Eventually(t, func() bool {
		got, err := instances.GetGuestAttributes(ctx, read)
		return err == nil && got.GetQueryValue().GetItems()[0].GetValue() == "quote of 00ff"
	}, waitFor, tick)

	found, err := instances.List(ctx, &computepb.ListInstancesRequest{Project: ours, Zone: zone, Filter: proto.String("labels.owner=mero-tee")}).Next()
	require.NoError(t, err)
	require.Equal(t, "1700000000", found.GetLabels()["expires"])
	op, err = instances.Delete(ctx, &computepb.DeleteInstanceRequest{Project: ours, Zone: zone, Instance: "measure-1"})
	require.NoError(t, err)
	require.NoError(t, op.Wait(ctx))
	require.Empty(t, w.server.Resources(), "its disk goes with it")
	_, err = instances.List(ctx, &computepb.ListInstancesRequest{Project: ours, Zone: zone}).Next()
	require.ErrorIs(t, err, iterator.Done)
}

func TestTheCloudClientHearsOfAFailedOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Failures: []gce.Failure{{Call: "instances.insert", Times: 1, Code: "QUOTA_EXCEEDED"}}})
	instances, err := compute.NewInstancesRESTClient(t.Context(), option.WithHTTPClient(w.client))
	require.NoError(t, err)
	defer instances.Close() //nolint:errcheck // nothing to lose
	op, err := instances.Insert(t.Context(), &computepb.InsertInstanceRequest{Project: ours, Zone: zone, InstanceResource: measured("m", base)})
	require.NoError(t, err)
	err = op.Wait(t.Context())
	require.ErrorContains(t, err, "QUOTA_EXCEEDED")
	require.ErrorContains(t, err, "403")
	require.Empty(t, w.server.Resources())
}

// Every call that is served answers here once, so that the spy has held all of
// their shapes against the description.
func TestEveryCallFitsTheDescription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answers := func(_ any, err error) { t.Helper(); require.NoError(t, err) }
	in := tdx("all", base)
	w.succeeds(w.insert(in))
	w.inside(first(w.machines.last()), http.MethodPut, "instance/guest-attributes/a/b", strings.NewReader("c"))
	w.succeeds(w.api.Disks.Insert(ours, zone, &api.Disk{Name: "extra", SourceImage: base, Labels: map[string]string{"a": "b"}}).Do())
	w.succeeds(w.api.Images.Insert(ours, &api.Image{Name: "copy", SourceDisk: path("disks", "extra"), Family: "ours"}).Do())
	image, err := w.api.Images.GetFromFamily(ours, "ours").Do()
	require.NoError(t, err)
	got, err := w.api.Instances.Get(ours, zone, "all").Do()
	require.NoError(t, err)
	value := "v"
	for _, call := range []func() (*api.Operation, error){
		func() (*api.Operation, error) {
			return w.api.Images.SetLabels(ours, "copy", &api.GlobalSetLabelsRequest{LabelFingerprint: image.LabelFingerprint, Labels: map[string]string{"a": ""}}).Do()
		},
		func() (*api.Operation, error) {
			return w.api.Images.Deprecate(ours, "copy", &api.DeprecationStatus{State: "DEPRECATED"}).Do()
		},
		func() (*api.Operation, error) {
			return w.api.Instances.SetMetadata(ours, zone, "all", &api.Metadata{Fingerprint: got.Metadata.Fingerprint,
				Items: append(got.Metadata.Items, &api.MetadataItems{Key: "k", Value: &value})}).Do()
		},
		func() (*api.Operation, error) { return w.api.Instances.Stop(ours, zone, "all").Do() },
	} {
		w.succeeds(call())
	}
	asked := &api.TestPermissionsRequest{Permissions: []string{"compute.images.create"}}
	answers(w.api.Projects.Get(ours).Do())
	answers(w.api.Zones.Get(ours, zone).Do())
	answers(w.api.Zones.List(ours).Do())
	answers(w.api.Regions.Get(ours, "us-central1").Do())
	answers(w.api.MachineTypes.Get(ours, zone, "c3-standard-8").Do())
	answers(w.api.Networks.Get(ours, "default").Do())
	answers(w.api.Subnetworks.Get(ours, "us-central1", "default").Do())
	answers(w.api.Images.Get(ours, "copy").Do())
	answers(w.api.Images.List("ubuntu-os-cloud").Do())
	answers(w.api.Images.TestIamPermissions(ours, "copy", asked).Do())
	answers(w.api.Disks.Get(ours, zone, "extra").Do())
	answers(w.api.Disks.List(ours, zone).Do())
	found, err := w.api.Disks.AggregatedList(ours).Filter("labels.a=b").Do()
	require.NoError(t, err)
	require.Equal(t, "extra", found.Items["zones/"+zone].Disks[0].Name)
	answers(w.api.Disks.AggregatedList(ours).Filter("name=none").Do())
	answers(w.api.Instances.List(ours, zone).Do())
	answers(w.api.Instances.AggregatedList(ours).Do())
	answers(w.api.Instances.GetSerialPortOutput(ours, zone, "all").Port(1).Start(3).Do())
	answers(w.api.Instances.GetGuestAttributes(ours, zone, "all").QueryPath("a/b").Do())
	answers(w.api.Instances.TestIamPermissions(ours, zone, "all", asked).Do())
	answers(w.api.ZoneOperations.List(ours, zone).Do())
	answers(w.api.GlobalOperations.List(ours).Filter("status = DONE").Do())
	answers(w.api.ZoneOperations.Get(ours, zone, w.done(w.api.Instances.Delete(ours, zone, "all").Do()).Name).Do())
	answers(w.api.GlobalOperations.Get(ours, w.done(w.api.Images.Delete(ours, "copy").Do()).Name).Do())
	w.succeeds(w.api.Disks.Delete(ours, zone, "extra").Do())
	require.Empty(t, w.server.Resources())

	require.Equal(t, slices.Sorted(maps.Keys(w.server.Calls())), slices.Sorted(maps.Keys(w.seen)))
}

func first[A, B any](a A, _ B) A { return a }
