package gce_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

func TestMetadataServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := tdx("a", base)
	nonce := "00ff"
	in.Metadata.Items = append(in.Metadata.Items, &computepb.Items{Key: new("mero-nonce"), Value: &nonce})
	w.succeeds(w.insert(in))
	spec, _ := w.machines.last()
	code, text := w.inside(spec, http.MethodGet, "instance/attributes/mero-nonce", nil)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "00ff", text)
	for _, path := range []string{"instance/attributes/none", "instance/none", "project/none"} {
		code, _ := w.inside(spec, http.MethodGet, path, nil)
		require.Equal(t, http.StatusNotFound, code, path)
	}
	for _, header := range []http.Header{{}, {"Metadata-Flavor": {"google"}},
		{"Metadata-Flavor": {"Google"}, "X-Forwarded-For": {"1.2.3.4"}}} {
		r, err := http.NewRequest(http.MethodGet,
			"http://"+spec.Metadata+"/computeMetadata/v1/instance/attributes/mero-nonce", nil)
		require.NoError(t, err)
		r.Header = header
		answer, err := w.plain.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusForbidden, answer.StatusCode, header)
	}
}

func TestGuestAttributes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(tdx("a", base)))
	spec, _ := w.machines.last()
	inside := func(method, path, body string) (int, string) {
		w.later(10 * time.Second)
		return w.inside(spec, method, "instance/guest-attributes/"+path, strings.NewReader(body))
	}
	for path, value := range map[string]string{"mero/report": "1", "mero/report-0": "2", "other/report": "3",
		"mero/limit": strings.Repeat("x", 256<<10)} {
		code, _ := inside(http.MethodPut, path, value)
		require.Equal(t, http.StatusOK, code)
	}
	code, _ := inside(http.MethodPut, "mero/large", strings.Repeat("x", 256<<10+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, code)
	code, _ = inside(http.MethodPut, "mero/second", strings.Repeat("x", 256<<10))
	require.Equal(t, http.StatusRequestEntityTooLarge, code, "all of them are bounded as well")
	code, _ = inside(http.MethodPut, "mero/limit", strings.Repeat("y", 256<<10))
	require.Equal(t, http.StatusOK, code, "what is written again counts once")
	code, _ = inside(http.MethodPut, "mero", "no key")
	require.NotEqual(t, http.StatusOK, code)
	for query, want := range map[string][]string{"": {"mero/limit", "mero/report", "mero/report-0", "other/report"},
		"mero/":       {"mero/limit", "mero/report", "mero/report-0"},
		"mero/report": {"mero/report"}, "mer": nil, "mero/rep": nil, "none/": nil} {
		got, err := w.guestAttributes("a", "queryPath", query)
		if want == nil {
			requireReason(t, err, 404, "notFound")
			require.ErrorContains(t, err, "The resource '"+query+"' of type 'Guest Attribute' was not found.")
			continue
		}
		require.NoError(t, err, query)
		var all []string
		for _, e := range got.QueryValue.Items {
			all = append(all, e.GetNamespace()+"/"+e.GetKey())
		}
		require.Equal(t, want, all, query)
	}
}

// An instance may write three times in a second and ten times in a minute.
func TestGuestAttributesTooOften(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(tdx("a", base)))
	w.succeeds(w.insert(tdx("b", base)))
	one, other := w.machines.booted[0], w.machines.booted[1]
	write := func(spec gce.Spec, want int) {
		t.Helper()
		code, _ := w.inside(spec, http.MethodPut, "instance/guest-attributes/mero/x", strings.NewReader("x"))
		require.Equal(t, want, code)
	}
	for range 3 {
		write(one, http.StatusOK)
	}
	write(one, http.StatusTooManyRequests)
	write(other, http.StatusOK) // each instance has its own
	for range 2 {
		w.later(2 * time.Second)
		for range 3 {
			write(one, http.StatusOK)
		}
	}
	w.later(2 * time.Second)
	write(one, http.StatusOK)
	w.later(2 * time.Second)
	write(one, http.StatusTooManyRequests)
	w.later(time.Minute)
	write(one, http.StatusOK)
}

func TestGuestAttributesThatAreOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	spec, _ := w.machines.last()
	code, text := w.inside(spec, http.MethodPut, "instance/guest-attributes/mero/report", strings.NewReader("x"))
	require.Equal(t, http.StatusForbidden, code)
	require.Equal(t, "Guest attributes endpoint access is disabled.\n", text)
}

func TestSerialPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	spec, _ := w.machines.last()
	read := func() *computepb.SerialPortOutput {
		got, err := w.serial("a")
		require.NoError(t, err)
		return got
	}
	require.Equal(t, "booting a\n", read().GetContents())
	_, err := spec.Serial.Write([]byte("up\n\xff"))
	require.NoError(t, err)
	require.Equal(t, "booting a\nup\n\uFFFD", read().GetContents(), "JSON is UTF-8")
	require.EqualValues(t, 14, read().GetNext())
	_, err = spec.Serial.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.EqualValues(t, 14, read().GetStart(), "only the last MiB is kept")
	_, err = w.serial("a", "start", "3")
	requireReason(t, err, 400, "invalid")
	other, err := w.serial("a", "port", "2")
	require.NoError(t, err)
	require.Empty(t, other.GetContents())
}

func TestAMachineThatEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	_, m := w.machines.last()
	require.NoError(t, m.Stop())
	require.Eventually(t, func() bool {
		in, err := w.instance("a")
		return err == nil && in.GetStatus() == "TERMINATED"
	}, hang.Limit(t), tick)
	_, err := w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "a-disk"))})
	require.NoError(t, err, "the disk of an instance that has stopped is free")
}

func TestForcedImageOfARunningInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	w.succeeds(w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "a-disk"))}, "forceCreate",
		"true"))
	require.Contains(t, w.server.Resources(), "projects/rehearsal/global/images/i")
}

func TestDeletionsThatMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.machines.block = make(chan struct{})
	_, err := w.insert(vm("a"))
	require.NoError(t, err)
	_, err = w.delete(imagePath("none"))
	require.Error(t, err)
	one, err := w.delete(path("instances", "a"))
	require.NoError(t, err, "while it is still being made")
	two, err := w.delete(path("instances", "a"))
	require.NoError(t, err)
	close(w.machines.block)
	var failed []string
	for _, op := range []*computepb.Operation{one, two} {
		if e := w.done(op, nil).Error; e != nil {
			failed = append(failed, e.Errors[0].GetCode())
		}
	}
	require.Len(t, failed, 1, "one of them finds nothing to delete")
	require.Contains(t, []string{"RESOURCE_NOT_FOUND", "RESOURCE_NOT_READY"}, failed[0])
	require.Equal(t, []string{path("disks", "a-disk")}, w.server.Resources())
}

var _ gce.Host = (*machines)(nil)
