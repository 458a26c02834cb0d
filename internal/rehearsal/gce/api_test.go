package gce_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/hang"
)

// do sends a request with a message, or with JSON that no message can be; the
// path begins with projects/. A refusal is a *googleapi.Error.
func (w *world) do(method, path string, in any, out proto.Message) error {
	w.Helper()
	var body []byte
	switch in := in.(type) {
	case proto.Message:
		var err error
		body, err = protojson.Marshal(in)
		require.NoError(w, err)
	case string:
		body = []byte(in)
	}
	r, err := http.NewRequestWithContext(w.Context(), method, "https://compute.googleapis.com/compute/v1/"+path,
		bytes.NewReader(body))
	require.NoError(w, err)
	answer, err := w.client.Do(r)
	require.NoError(w, err)
	defer answer.Body.Close()
	if err := googleapi.CheckResponse(answer); err != nil {
		return err
	}
	data, err := io.ReadAll(answer.Body)
	require.NoError(w, err)
	return protojson.Unmarshal(data, out)
}

// get reads what is at a path.
func get[T proto.Message](w *world, path string, into T) (T, error) {
	w.Helper()
	return into, w.do(http.MethodGet, path, nil, into)
}

func (w *world) image(name string) (*computepb.Image, error) {
	return get(w, imagePath(name), &computepb.Image{})
}

func (w *world) disk(name string) (*computepb.Disk, error) {
	return get(w, path("disks", name), &computepb.Disk{})
}

func (w *world) instance(name string) (*computepb.Instance, error) {
	return get(w, path("instances", name), &computepb.Instance{})
}

func (w *world) operation(op *computepb.Operation) (*computepb.Operation, error) {
	return get(w, linked(op.GetSelfLink()), &computepb.Operation{})
}

func (w *world) zone() error { return w.do(http.MethodGet, scope, nil, &computepb.Zone{}) }

// newest is the family's newest image.
func (w *world) newest(owner, family string) (*computepb.Image, error) {
	return get(w, "projects/"+owner+"/global/images/family/"+family, &computepb.Image{})
}

// images lists those of a project; query is pairs of a name and a value.
func (w *world) images(owner string, query ...string) (*computepb.ImageList, error) {
	return get(w, "projects/"+owner+"/global/images"+values(query), &computepb.ImageList{})
}

func (w *world) disks(query ...string) (*computepb.DisksScopedList, error) {
	got, err := get(w, "projects/"+ours+"/aggregated/disks"+values(query), &computepb.DiskAggregatedList{})
	return got.GetItems()["zones/"+zone], err
}

func (w *world) instances(query ...string) (*computepb.InstancesScopedList, error) {
	got, err := get(w, "projects/"+ours+"/aggregated/instances"+values(query), &computepb.InstanceAggregatedList{})
	return got.GetItems()["zones/"+zone], err
}

func (w *world) serial(name string, query ...string) (*computepb.SerialPortOutput, error) {
	return get(w, path("instances", name)+"/serialPort"+values(query), &computepb.SerialPortOutput{})
}

func (w *world) guestAttributes(name string, query ...string) (*computepb.GuestAttributes, error) {
	return get(w, path("instances", name)+"/getGuestAttributes"+values(query), &computepb.GuestAttributes{})
}

func values(pairs []string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}

// change asks for an operation.
func (w *world) change(method, path string, in any) (*computepb.Operation, error) {
	w.Helper()
	op := &computepb.Operation{}
	return op, w.do(method, path, in, op)
}

// insert makes an instance of a message, or of JSON.
func (w *world) insert(in any, query ...string) (*computepb.Operation, error) {
	return w.change(http.MethodPost, scope+"/instances"+values(query), in)
}

func (w *world) insertDisk(in *computepb.Disk) (*computepb.Operation, error) {
	return w.change(http.MethodPost, scope+"/disks", in)
}

func (w *world) insertImage(in *computepb.Image, query ...string) (*computepb.Operation, error) {
	return w.change(http.MethodPost, "projects/"+ours+"/global/images"+values(query), in)
}

func (w *world) deprecate(name string, in *computepb.DeprecationStatus) (*computepb.Operation, error) {
	return w.change(http.MethodPost, imagePath(name)+"/deprecate", in)
}

func (w *world) delete(path string, query ...string) (*computepb.Operation, error) {
	return w.change(http.MethodDelete, path+values(query), nil)
}

// done waits for an operation and gives what it says.
func (w *world) done(op *computepb.Operation, err error) *computepb.Operation {
	w.Helper()
	require.NoError(w, err)
	require.Eventually(w, func() bool {
		op, err = w.operation(op)
		return err != nil || op.GetStatus() == computepb.Operation_DONE
	}, hang.Limit(w), tick)
	require.NoError(w, err)
	require.EqualValues(w, 100, op.GetProgress())
	return op
}

// succeeds is done for an operation without an error.
func (w *world) succeeds(op *computepb.Operation, err error) {
	w.Helper()
	require.Nil(w, w.done(op, err).Error)
}

const scope = "projects/" + ours + "/zones/" + zone

func path(collection, name string) string { return fmt.Sprintf("%s/%s/%s", scope, collection, name) }

func imagePath(name string) string { return "projects/" + ours + "/global/images/" + name }

// linked is the path of a link.
func linked(link string) string { return link[len("https://www.googleapis.com/compute/v1/"):] }

func requireCode(t *testing.T, err error, code int) *googleapi.Error {
	t.Helper()
	var e *googleapi.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	return e
}

func requireReason(t *testing.T, err error, code int, reason string) {
	t.Helper()
	e := requireCode(t, err, code)
	require.Equal(t, reason, e.Errors[0].Reason, "%v", err)
}
