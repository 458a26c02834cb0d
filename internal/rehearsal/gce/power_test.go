package gce_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

// turn resets, stops or starts an instance.
func (w *world) turn(name, verb string) (*computepb.Operation, error) {
	return w.change(http.MethodPost, path("instances", name)+"/"+verb, nil)
}

// A reset ends what runs and boots the same disk again; nothing else of the instance changes.
func TestReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(tdx("a", base)))
	first, before := w.machines.last()
	code, _ := w.inside(first, http.MethodPut, "instance/guest-attributes/mero/report", strings.NewReader("one"))
	require.Equal(t, http.StatusOK, code)
	was, err := w.instance("a")
	require.NoError(t, err)

	w.succeeds(w.turn("a", "reset"))
	require.True(t, before.stopped())
	second, now := w.machines.last()
	require.NotSame(t, before, now)
	require.False(t, now.stopped())
	require.Equal(t, []any{first.Disk, first.Address, first.Confidential},
		[]any{second.Disk, second.Address, second.Confidential})
	in, err := w.instance("a")
	require.NoError(t, err)
	require.Equal(t, "RUNNING", in.GetStatus())
	require.Equal(t, was.GetId(), in.GetId())
	require.Equal(t, was.NetworkInterfaces[0].AccessConfigs[0].GetNatIP(),
		in.NetworkInterfaces[0].AccessConfigs[0].GetNatIP())
	got, err := w.guestAttributes("a")
	require.NoError(t, err)
	require.Equal(t, "one", got.GetQueryValue().Items[0].GetValue(), "what the last boot wrote is still there")
	serial, err := w.serial("a")
	require.NoError(t, err)
	require.Equal(t, "booting a\nbooting a\n", serial.GetContents())
	w.succeeds(w.delete(path("instances", "a")))
	require.True(t, now.stopped())
}

func TestStopAndStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(tdx("a", base)))
	_, before := w.machines.last()
	w.succeeds(w.turn("a", "stop"))
	require.True(t, before.stopped())
	in, err := w.instance("a")
	require.NoError(t, err)
	require.Equal(t, "TERMINATED", in.GetStatus())
	require.Empty(t, in.NetworkInterfaces[0].AccessConfigs[0].GetNatIP(), "an ephemeral address is given back")
	for _, verb := range []string{"stop", "reset"} {
		_, err = w.turn("a", verb)
		requireReason(t, err, 400, "resourceNotReady")
	}
	w.succeeds(w.turn("a", "start"))
	in, err = w.instance("a")
	require.NoError(t, err)
	require.Equal(t, "RUNNING", in.GetStatus())
	spec, now := w.machines.last()
	require.False(t, now.stopped())
	require.Equal(t, spec.Address, in.NetworkInterfaces[0].AccessConfigs[0].GetNatIP())
	_, err = w.turn("a", "start")
	requireReason(t, err, 400, "resourceNotReady")
	_, err = w.turn("none", "reset")
	requireReason(t, err, 404, "notFound")
}

// setMetadata gives an instance one value, which is all it has then.
func (w *world) setMetadata(name, key, value string) (*computepb.Operation, error) {
	in, err := w.instance(name)
	require.NoError(w, err)
	return w.change(http.MethodPost, path("instances", name)+"/setMetadata", &computepb.Metadata{
		Items: []*computepb.Items{{Key: &key, Value: &value}}, Fingerprint: in.Metadata.Fingerprint})
}

// Metadata is replaced at once, by who has read it.
func TestSetMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(tdx("a", base)))
	before, err := w.instance("a")
	require.NoError(t, err)
	w.succeeds(w.setMetadata("a", "mero-nonce", "second"))
	spec, _ := w.machines.last()
	code, value := w.inside(spec, http.MethodGet, "instance/attributes/mero-nonce", nil)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "second", value)
	after, err := w.instance("a")
	require.NoError(t, err)
	require.NotEqual(t, before.Metadata.GetFingerprint(), after.Metadata.GetFingerprint())
	set := path("instances", "a") + "/setMetadata"
	_, err = w.change(http.MethodPost, set, before.Metadata)
	requireReason(t, err, 412, "conditionNotMet")
	_, err = w.setMetadata("a", "a b", "")
	requireReason(t, err, 400, "invalid")
	_, err = w.change(http.MethodPost, path("instances", "none")+"/setMetadata", before.Metadata)
	requireReason(t, err, 404, "notFound")
}

// Only one thing is done with an instance at a time; its deletion waits for the others.
func TestOneThingAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	w.machines.booting = make(chan struct{})
	reset, err := w.turn("a", "reset")
	require.NoError(t, err)
	_, err = w.turn("a", "reset")
	requireReason(t, err, 400, "resourceNotReady")
	deleted, err := w.delete(path("instances", "a"))
	require.NoError(t, err)
	close(w.machines.booting)
	w.succeeds(reset, nil)
	w.succeeds(deleted, nil)
	for _, m := range w.machines.all {
		require.True(t, m.stopped())
	}
	_, err = w.instance("a")
	requireReason(t, err, 404, "notFound")
}

// What cannot be booted again has stopped, and can be deleted.
func TestAResetThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	w.machines.broken["Boot"] = http.ErrAbortHandler
	require.Equal(t, "INTERNAL_ERROR", w.done(w.turn("a", "reset")).Error.Errors[0].GetCode())
	in, err := w.instance("a")
	require.NoError(t, err)
	require.Equal(t, "TERMINATED", in.GetStatus())
	require.NotNil(t, w.done(w.turn("a", "start")).Error)
	w.succeeds(w.delete(path("instances", "a")))
}

// A reset does not lengthen an instance's time; a stop ends it.
func TestMaxRunDurationOverAReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, newMachines())
		in := vm("a")
		in.Disks = []*computepb.AttachedDisk{{Boot: new(true), AutoDelete: new(true), Source: new(path("disks", "d"))}}
		in.Scheduling = limited()
		do := func(method, path string, body *computepb.Instance) {
			require.Equal(t, http.StatusOK, b.do(method, path, body).Code)
			synctest.Wait()
		}
		require.Equal(t, http.StatusOK,
			b.do("POST", "zones/"+zone+"/disks", &computepb.Disk{Name: new("d"), SizeGb: new(int64(1))}).Code)
		synctest.Wait()
		do("POST", "zones/"+zone+"/instances", in)
		time.Sleep(40 * time.Second)
		do("POST", "zones/"+zone+"/instances/a/stop", nil)
		time.Sleep(30 * time.Minute)
		do("POST", "zones/"+zone+"/instances/a/start", nil)
		time.Sleep(40 * time.Second)
		do("POST", "zones/"+zone+"/instances/a/reset", nil)
		require.NotEmpty(t, b.server.Resources())
		time.Sleep(21 * time.Second)
		synctest.Wait()
		require.Empty(t, b.server.Resources())
	})
}

// Who may not, does not.
func TestPowerNeedsPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Denied: []string{"compute.instances.reset"}})
	w.succeeds(w.insert(vm("a")))
	_, err := w.turn("a", "reset")
	require.ErrorContains(t, err, "Required 'compute.instances.reset' permission for '"+path("instances", "a")+"'")
}
