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
	"google.golang.org/api/option"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

// measured is the VM that production boots to measure an image.
func measured(name, image string) *computepb.Instance {
	return &computepb.Instance{Name: proto.String(name),
		MachineType:                proto.String("zones/" + zone + "/machineTypes/c3-standard-4"),
		Labels:                     map[string]string{"owner": "mero-tee", "run": "node-1", "expires": "1700000000"},
		ConfidentialInstanceConfig: &computepb.ConfidentialInstanceConfig{ConfidentialInstanceType: proto.String("TDX")},
		Scheduling: &computepb.Scheduling{OnHostMaintenance: proto.String("TERMINATE"), AutomaticRestart: proto.Bool(false),
			MaxRunDuration: &computepb.Duration{Seconds: proto.Int64(1800)}, InstanceTerminationAction: proto.String("DELETE")},
		ShieldedInstanceConfig: &computepb.ShieldedInstanceConfig{EnableSecureBoot: proto.Bool(false),
			EnableVtpm: proto.Bool(true)},
		Disks: []*computepb.AttachedDisk{{Boot: proto.Bool(true), AutoDelete: proto.Bool(true),
			Interface: proto.String("NVME"),
			InitializeParams: &computepb.AttachedDiskInitializeParams{SourceImage: proto.String(image),
				DiskType: proto.String("zones/" + zone + "/diskTypes/pd-balanced")}}},
		NetworkInterfaces: []*computepb.NetworkInterface{{Network: proto.String("global/networks/default"),
			NicType: proto.String("GVNIC")}},
		Metadata: &computepb.Metadata{Items: []*computepb.Items{{Key: proto.String("enable-guest-attributes"),
			Value: proto.String("TRUE")},
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
	defer instances.Close()
	images, err := compute.NewImagesRESTClient(ctx, option.WithHTTPClient(w.client))
	require.NoError(t, err)
	defer images.Close()

	image, err := images.GetFromFamily(ctx, &computepb.GetFromFamilyImageRequest{Project: "ubuntu-os-cloud",
		Family: "ubuntu"})
	require.NoError(t, err)
	op, err := instances.Insert(ctx, &computepb.InsertInstanceRequest{Project: ours, Zone: zone,
		InstanceResource: measured("measure-1", image.GetSelfLink())})
	require.NoError(t, err)
	require.False(t, op.Done(), "the answer does not wait for the end")
	require.NoError(t, op.Wait(ctx))
	in, err := instances.Get(ctx, &computepb.GetInstanceRequest{Project: ours, Zone: zone, Instance: "measure-1"})
	require.NoError(t, err)
	require.Equal(t, "RUNNING", in.GetStatus())
	require.Equal(t, []string{path("disks", "measure-1"), path("instances", "measure-1")}, w.server.Resources())

	read := &computepb.GetGuestAttributesInstanceRequest{Project: ours, Zone: zone, Instance: "measure-1",
		QueryPath: proto.String("mero/")}
	require.Eventually(t, func() bool {
		got, err := instances.GetGuestAttributes(ctx, read)
		return err == nil && got.GetQueryValue().GetItems()[0].GetValue() == "quote of 00ff"
	}, hang.Limit(t), tick)

	found, err := instances.AggregatedList(ctx, &computepb.AggregatedListInstancesRequest{Project: ours,
		Filter: proto.String("labels.owner=mero-tee")}).Next()
	require.NoError(t, err)
	require.Equal(t, "1700000000", found.Value.GetInstances()[0].GetLabels()["expires"])
	op, err = instances.Delete(ctx, &computepb.DeleteInstanceRequest{Project: ours, Zone: zone, Instance: "measure-1"})
	require.NoError(t, err)
	require.NoError(t, op.Wait(ctx))
	require.Empty(t, w.server.Resources(), "its disk goes with it")
}

func TestTheCloudClientHearsOfAFailedOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Failures: []gce.Failure{{Call: "instances.insert", Times: 1, Code: "QUOTA_EXCEEDED"}}})
	instances, err := compute.NewInstancesRESTClient(t.Context(), option.WithHTTPClient(w.client))
	require.NoError(t, err)
	defer instances.Close()
	op, err := instances.Insert(t.Context(), &computepb.InsertInstanceRequest{Project: ours, Zone: zone,
		InstanceResource: measured("m", base)})
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
	w.succeeds(w.insert(tdx("all", base)))
	w.inside(first(w.machines.last()), http.MethodPut, "instance/guest-attributes/a/b", strings.NewReader("c"))
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("extra"), SourceImage: new(base),
		Labels: map[string]string{"a": "b"}}))
	w.succeeds(w.insertImage(&computepb.Image{Name: new("copy"), SourceDisk: new(path("disks", "extra")),
		Family: new("ours")}))
	answers(w.newest(ours, "ours"))
	answers(w.instance("all"))
	w.succeeds(w.deprecate("copy", &computepb.DeprecationStatus{State: new("DEPRECATED")}))
	answers(get(w, "projects/"+ours, &computepb.Project{}))
	answers(nil, w.zone())
	answers(get(w, path("machineTypes", "c3-standard-8"), &computepb.MachineType{}))
	answers(w.image("copy"))
	answers(w.images("ubuntu-os-cloud"))
	answers(w.disk("extra"))
	found, err := w.disks("filter", "labels.a=b")
	require.NoError(t, err)
	require.Equal(t, "extra", found.Disks[0].GetName())
	answers(w.disks("filter", "name=none"))
	answers(w.instances())
	answers(w.serial("all", "port", "1"))
	answers(w.guestAttributes("all", "queryPath", "a/b"))
	w.succeeds(w.setMetadata("all", "key", "value"))
	for _, verb := range []string{"reset", "stop", "start"} {
		w.succeeds(w.turn("all", verb))
	}
	w.succeeds(w.delete(path("instances", "all")))
	w.succeeds(w.delete(imagePath("copy")))
	w.succeeds(w.delete(path("disks", "extra")))
	require.Empty(t, w.server.Resources())

	require.Equal(t, slices.Sorted(maps.Keys(w.server.Calls())), slices.Sorted(maps.Keys(w.seen)))
}

func first[A, B any](a A, _ B) A { return a }
