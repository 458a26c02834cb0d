package gce_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	api "google.golang.org/api/compute/v1"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

func TestMetadataServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := tdx("a", base)
	nonce := "00ff"
	in.Metadata.Items = append(in.Metadata.Items, &api.MetadataItems{Key: "mero-nonce", Value: &nonce})
	w.succeeds(w.insert(in))
	spec, _ := w.machines.last()
	got, err := w.api.Instances.Get(ours, zone, "a").Do()
	require.NoError(t, err)
	for path, want := range map[string]string{
		"instance/name":                  "a",
		"instance/attributes/mero-nonce": "00ff",
		"instance/attributes/":           "enable-guest-attributes\nmero-nonce\n",
		"project/project-id":             ours,
		"instance/guest-attributes/":     "",
	} {
		code, text := w.inside(spec, http.MethodGet, path, nil)
		require.Equal(t, http.StatusOK, code, path)
		require.Equal(t, want, text, path)
	}
	_, id := w.inside(spec, http.MethodGet, "instance/id", nil)
	require.Regexp(t, `^[1-9][0-9]{18}$`, id)
	require.Equal(t, strconv.FormatUint(got.Id, 10), id)
	_, at := w.inside(spec, http.MethodGet, "instance/zone", nil)
	require.Regexp(t, `^projects/[0-9]+/zones/us-central1-a$`, at)
	for _, path := range []string{"instance/attributes/none", "instance/none", "instance/guest-attributes/mero/none", "instance/guest-attributes/none/"} {
		code, _ := w.inside(spec, http.MethodGet, path, nil)
		require.Equal(t, http.StatusNotFound, code, path)
	}
	for _, header := range []http.Header{{}, {"Metadata-Flavor": {"google"}}, {"Metadata-Flavor": {"Google"}, "X-Forwarded-For": {"1.2.3.4"}}} {
		r, err := http.NewRequest(http.MethodGet, "http://"+spec.Metadata+"/computeMetadata/v1/instance/name", nil)
		require.NoError(t, err)
		r.Header = header
		answer, err := w.plain.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusForbidden, answer.StatusCode, header)
	}
	w.succeeds(w.api.Instances.SetMetadata(ours, zone, "a", &api.Metadata{Fingerprint: got.Metadata.Fingerprint}).Do())
	code, _ := w.inside(spec, http.MethodGet, "instance/attributes/mero-nonce", nil)
	require.Equal(t, http.StatusNotFound, code, "what the API changes is seen at once")
}

func TestGuestAttributes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(tdx("a", base)))
	spec, _ := w.machines.last()
	inside := func(method, path, body string) (int, string) {
		return w.inside(spec, method, "instance/guest-attributes/"+path, strings.NewReader(body))
	}
	for path, value := range map[string]string{"mero/report": "1", "mero/report-0": "2", "other/report": "3", "mero/limit": strings.Repeat("x", 256<<10)} {
		code, _ := inside(http.MethodPut, path, value)
		require.Equal(t, http.StatusOK, code)
	}
	code, _ := inside(http.MethodPut, "mero/large", strings.Repeat("x", 256<<10+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, code)
	code, _ = inside(http.MethodPut, "mero", "no key")
	require.NotEqual(t, http.StatusOK, code)
	code, text := inside(http.MethodGet, "mero/report", "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "1", text)
	_, text = inside(http.MethodGet, "", "")
	require.Equal(t, "mero/\nother/\n", text)
	for query, want := range map[string][]string{"": {"mero/limit", "mero/report", "mero/report-0", "other/report"}, "mero/": {"mero/limit", "mero/report", "mero/report-0"},
		"mero/report": {"mero/report"}, "mer": nil, "mero/rep": nil, "none/": nil} {
		got, err := w.api.Instances.GetGuestAttributes(ours, zone, "a").QueryPath(query).Do()
		if want == nil {
			requireReason(t, err, 404, "notFound")
			require.ErrorContains(t, err, "The resource '"+query+"' of type 'Guest Attribute' was not found.")
			continue
		}
		require.NoError(t, err, query)
		var all []string
		for _, e := range got.QueryValue.Items {
			all = append(all, e.Namespace+"/"+e.Key)
		}
		require.Equal(t, want, all, query)
	}
	for _, want := range []int{http.StatusOK, http.StatusNotFound} {
		code, _ = inside(http.MethodDelete, "mero/report", "")
		require.Equal(t, want, code)
	}
}

func TestGuestAttributesThatAreOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	spec, _ := w.machines.last()
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		code, text := w.inside(spec, method, "instance/guest-attributes/mero/report", strings.NewReader("x"))
		require.Equal(t, http.StatusForbidden, code)
		require.Equal(t, "Guest attributes endpoint access is disabled.\n", text)
	}
}

func TestSerialPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	spec, _ := w.machines.last()
	read := func(start int64) *api.SerialPortOutput {
		got, err := w.api.Instances.GetSerialPortOutput(ours, zone, "a").Start(start).Do()
		require.NoError(t, err)
		return got
	}
	begun := read(0)
	require.Equal(t, "booting a\n", begun.Contents)
	_, err := spec.Serial.Write([]byte("up\n"))
	require.NoError(t, err)
	require.Equal(t, "up\n", read(begun.Next).Contents)
	require.Empty(t, read(1<<40).Contents)
	_, err = spec.Serial.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.EqualValues(t, 13, read(0).Start, "only the last MiB is kept")
	other, err := w.api.Instances.GetSerialPortOutput(ours, zone, "a").Port(2).Do()
	require.NoError(t, err)
	require.Empty(t, other.Contents)
}

func TestAMachineThatEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	_, m := w.machines.last()
	require.NoError(t, m.Stop())
	require.Eventually(t, func() bool {
		in, err := w.api.Instances.Get(ours, zone, "a").Do()
		return err == nil && in.Status == "TERMINATED"
	}, waitFor, tick)
	_, err := w.api.Images.Insert(ours, &api.Image{Name: "i", SourceDisk: path("disks", "a-disk")}).Do()
	require.NoError(t, err, "the disk of an instance that has stopped is free")
}

func TestForcedImageOfARunningInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	w.succeeds(w.api.Images.Insert(ours, &api.Image{Name: "i", SourceDisk: path("disks", "a-disk")}).ForceCreate(true).Do())
	require.Contains(t, w.server.Resources(), "projects/rehearsal/global/images/i")
}

func TestDeletionsThatMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.machines.block = make(chan struct{})
	_, err := w.insert(vm("a"))
	require.NoError(t, err)
	_, err = w.api.Images.Delete(ours, "none").Do()
	require.Error(t, err)
	one, err := w.api.Instances.Delete(ours, zone, "a").Do()
	require.NoError(t, err, "while it is still being made")
	two, err := w.api.Instances.Delete(ours, zone, "a").Do()
	require.NoError(t, err)
	close(w.machines.block)
	var failed []string
	for _, op := range []*api.Operation{one, two} {
		if e := w.done(op, nil).Error; e != nil {
			failed = append(failed, e.Errors[0].Code)
		}
	}
	require.Len(t, failed, 1, "one of them finds nothing to delete")
	require.Contains(t, []string{"RESOURCE_NOT_FOUND", "RESOURCE_NOT_READY"}, failed[0])
	require.Equal(t, []string{path("disks", "a-disk")}, w.server.Resources())
}

var _ gce.Machines = (*machines)(nil)
