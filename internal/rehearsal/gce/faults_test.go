package gce_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/option"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

// How long a test waits for what another goroutine does.
const (
	tick = 5 * time.Millisecond
)

func TestDeniedPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Denied: []string{"compute.images.create", "compute.instances.create"}})
	_, err := w.insert(vm("a"))
	requireReason(t, err, 403, "forbidden")
	require.ErrorContains(t, err,
		"Required 'compute.instances.create' permission for 'projects/rehearsal/zones/us-central1-a/instances/a'")
	_, err = w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "d"))})
	requireReason(t, err, 403, "forbidden")
	asked := []string{"compute.images.create", "compute.images.get", "storage.buckets.get"}
	manager, err := cloudresourcemanager.NewService(t.Context(), option.WithHTTPClient(w.client))
	require.NoError(t, err)
	project, err := manager.Projects.TestIamPermissions(ours,
		&cloudresourcemanager.TestIamPermissionsRequest{Permissions: asked}).Do()
	require.NoError(t, err)
	require.Equal(t, []string{"compute.images.get"}, project.Permissions)
	_, err = manager.Projects.TestIamPermissions("another", &cloudresourcemanager.TestIamPermissionsRequest{}).Do()
	requireReason(t, err, 404, "notFound")
	_, err = manager.Projects.GetIamPolicy(ours, &cloudresourcemanager.GetIamPolicyRequest{}).Do()
	requireReason(t, err, 404, "notFound")
	w.server.SetFaults(gce.Faults{})
	w.succeeds(w.insert(vm("a")))
}

func TestNewResourcesAreHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Hidden: 2})
	w.succeeds(w.insert(vm("a")))
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("d"), SourceImage: new(base)}))
	w.succeeds(w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "d"))}))
	for name, get := range map[string]func() error{
		"instance": func() error { _, err := w.instance("a"); return err },
		"disk":     func() error { _, err := w.disk("d"); return err },
		"image":    func() error { _, err := w.image("i"); return err },
	} {
		requireReason(t, get(), 404, "notFound")
		requireReason(t, get(), 404, "notFound")
		require.NoError(t, get(), name)
	}
}

func TestCallsThatAreRefusedFirst(t *testing.T) {
	t.Parallel()
	for status, reason := range map[int]string{409: "conflict", 429: "rateLimitExceeded", 503: "backendError"} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, gce.Faults{Refusals: []gce.Refusal{{Call: "disks.insert", Times: 2, Status: status,
				RetryAfter: 7 * time.Second}}})
			for range 2 {
				_, err := w.insertDisk(&computepb.Disk{Name: new("d"), SizeGb: new(int64(10))})
				requireReason(t, err, status, reason)
				require.Equal(t, "7", requireCode(t, err, status).Header.Get("Retry-After"))
			}
			require.Empty(t, w.server.Resources())
			w.succeeds(w.insertDisk(&computepb.Disk{Name: new("d"), SizeGb: new(int64(10))}))
		})
	}
}

// A client that hears 503 repeats its request; the requestId makes the second one the first.
func TestAnAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Refusals: []gce.Refusal{{Call: "instances.insert", Times: 1, Status: 503, After: true}}})
	const id = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
	_, err := w.insert(vm("a"), "requestId", id)
	requireReason(t, err, 503, "backendError")
	op, err := w.insert(vm("a"), "requestId", id)
	w.succeeds(op, err)
	again, err := w.insert(vm("a"), "requestId", strings.ToUpper(id))
	require.NoError(t, err)
	require.Equal(t, op.GetName(), again.GetName())
	_, err = w.insert(vm("a"))
	requireReason(t, err, 409, "alreadyExists")
	require.Len(t, w.machines.all, 1)
}

func TestOperationsThatFail(t *testing.T) {
	t.Parallel()
	for code, status := range map[string]int32{"QUOTA_EXCEEDED": 403, "ZONE_RESOURCE_POOL_EXHAUSTED": 503,
		"INTERNAL_ERROR":     500,
		"RESOURCE_NOT_FOUND": 404, "RESOURCE_NOT_READY": 400} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, gce.Faults{Failures: []gce.Failure{{Call: "instances.insert", Times: 1, Code: code}}})
			op := w.done(w.insert(vm("a")))
			require.Equal(t, code, op.Error.Errors[0].GetCode())
			require.Equal(t, status, op.GetHttpErrorStatusCode())
			require.Equal(t, strings.ToUpper(http.StatusText(int(status))), op.GetHttpErrorMessage())
			require.Empty(t, w.server.Resources())
			w.succeeds(w.insert(vm("a")))
		})
	}
}

func TestDeletionThatFailsLeavesTheInstanceRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Failures: []gce.Failure{{Call: "instances.delete", Times: 1, Code: "INTERNAL_ERROR"}}})
	w.succeeds(w.insert(vm("a")))
	require.NotNil(t, w.done(w.delete(path("instances", "a"))).Error)
	in, err := w.instance("a")
	require.NoError(t, err)
	require.Equal(t, "RUNNING", in.GetStatus())
	w.succeeds(w.delete(path("instances", "a")))
}

func TestSlowOperations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Slow: map[string]time.Duration{"disks.insert": time.Hour}})
	op, err := w.insertDisk(&computepb.Disk{Name: new("d"), SizeGb: new(int64(10))})
	require.NoError(t, err)
	require.Equal(t, computepb.Operation_PENDING, op.GetStatus())
	op, err = w.operation(op)
	require.NoError(t, err)
	require.Equal(t, computepb.Operation_RUNNING, op.GetStatus())
	require.Less(t, op.GetProgress(), int32(100))
	disk, err := w.disk("d")
	require.NoError(t, err)
	require.Equal(t, "CREATING", disk.GetStatus())
	_, err = w.delete(path("disks", "d"))
	requireReason(t, err, 400, "resourceNotReady")
	_, err = w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: disk.SelfLink})
	requireReason(t, err, 400, "resourceNotReady")
}

func TestSilentInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Silent: true})
	w.succeeds(w.insert(tdx("a", base)))
	in, err := w.instance("a")
	require.NoError(t, err)
	require.Equal(t, "RUNNING", in.GetStatus())
	require.Empty(t, w.machines.all)
	_, err = w.guestAttributes("a", "queryPath", "mero/")
	requireReason(t, err, 404, "notFound")
	w.succeeds(w.delete(path("instances", "a")))
	require.Empty(t, w.server.Resources())
}

func TestDistortedGuestAttributes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(tdx("a", base)))
	code, _ := w.inside(first(w.machines.last()), http.MethodPut, "instance/guest-attributes/mero/report",
		strings.NewReader("123456"))
	require.Equal(t, http.StatusOK, code)
	read := func() (*computepb.GuestAttributes, error) {
		return w.guestAttributes("a", "queryPath", "mero/")
	}
	for reads, want := range map[gce.Distortion]int{gce.Intact: 6, gce.Truncated: 3, gce.Oversized: 6 + 8<<20} {
		w.server.SetFaults(gce.Faults{Reads: reads})
		got, err := read()
		require.NoError(t, err)
		require.Len(t, got.QueryValue.Items[0].GetValue(), want)
	}
	w.server.SetFaults(gce.Faults{Reads: gce.Absent})
	_, err := read()
	requireReason(t, err, 404, "notFound")
}

func TestBusyMetadataServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Busy: 2})
	w.succeeds(w.insert(tdx("a", base)))
	for _, want := range []int{429, 429, 200} {
		code, _ := w.inside(first(w.machines.last()), http.MethodPut, "instance/guest-attributes/a/b", strings.NewReader("c"))
		require.Equal(t, want, code)
	}
}

// What the machines themselves cannot do ends the operation, and leaves nothing.
func TestBrokenMachines(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Unpack", "Boot"} {
		w := newWorld(t)
		w.machines.broken[method] = context.DeadlineExceeded
		op := w.done(w.insert(vm("a")))
		require.Equal(t, "INTERNAL_ERROR", op.Error.Errors[0].GetCode())
		require.Contains(t, op.Error.Errors[0].GetMessage(), "deadline exceeded")
		require.Empty(t, w.server.Resources(), method)
	}
	w := newWorld(t)
	w.machines.broken["Capture"] = context.DeadlineExceeded
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("d"), SourceImage: new(base)}))
	op := w.done(w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "d"))}))
	require.Contains(t, op.Error.Errors[0].GetMessage(), "deadline exceeded")
	require.Equal(t, []string{path("disks", "d")}, w.server.Resources())
	_, ok := w.server.Image(ours, "i")
	require.False(t, ok)
}
