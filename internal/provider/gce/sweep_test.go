package gce_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
)

func labels(run string, expires time.Time) string {
	return fmt.Sprintf(`{"owner":"mero-tee","run":%q,"expires":"%d"}`, run, expires.Unix())
}

// listing is a project with resources in two zones, on several pages.
func listing(t *testing.T, past, future time.Time) http.Handler {
	vms := map[string]string{
		"": `{"nextPageToken":"2","items":{
			"zones/us-central1-a":{"instances":[{"name":"vm-1","labels":` + labels("run-a", past) + `}]},
			"zones/us-central1-b":{"warning":{"code":"NO_RESULTS_ON_PAGE"}}}}`,
		"2": `{"nextPageToken":"3","items":{}}`,
		"3": `{"items":{"zones/europe-west4-b":{"instances":[{"name":"vm-2","labels":` + labels("run-b", future) + `}]}}}`,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := `{}`
		switch r.URL.Path {
		case "/compute/v1/projects/" + project + "/aggregated/instances":
			body = vms[r.URL.Query().Get("pageToken")]
		case "/compute/v1/projects/" + project + "/aggregated/disks":
			body = `{"items":{"zones/us-central1-a":{"disks":[{"name":"vm-1","labels":` + labels("run-a", past) + `},
				{"name":"somebody-elses","creationTimestamp":"2026-01-01T00:00:00Z"},
				{"name":"mero-build-debug-0011-image",
					"creationTimestamp":` + strconv.Quote(past.Add(-2*time.Hour).Format(time.RFC3339)) + `},
				{"name":"mero-build-debug-2233",
					"creationTimestamp":` + strconv.Quote(future.Add(-2*time.Hour).Format(time.RFC3339)) + `}]}}}`
		case globally + "/images":
			body = `{"items":[{"name":"image-1","labels":{"owner":"mero-tee","version":"1-2-3","expires":"soon"}}]}`
		default:
			t.Errorf("unexpected %s", r.URL.Path)
		}
		if !strings.HasSuffix(r.URL.Path, "/disks") { // a build VM's has no labels
			assert.Equal(t, "labels.owner=mero-tee", r.URL.Query().Get("filter"))
		}
		ok(body).ServeHTTP(w, r)
	})
}

func TestLeftoversOfAllZones(t *testing.T) {
	t.Parallel()
	past, future := time.Now().Add(-time.Hour).Truncate(time.Second).UTC(),
		time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	w := newWorld(t, listing(t, past, future))
	found, err := w.client().Leftovers(t.Context())
	require.NoError(t, err)
	for i := range found {
		if !strings.HasPrefix(found[i].Name, gce.BuilderPrefix) {
			require.Equal(t, "mero-tee", found[i].Labels["owner"])
		}
		found[i].Labels = nil
	}
	require.Equal(t, []gce.Resource{
		{Kind: gce.Instances, Name: "vm-1", Zone: "us-central1-a", Run: "run-a", Expires: past, Expired: true},
		{Kind: gce.Instances, Name: "vm-2", Zone: "europe-west4-b", Run: "run-b", Expires: future},
		{Kind: gce.Disks, Name: "vm-1", Zone: "us-central1-a", Run: "run-a", Expires: past, Expired: true},
		{Kind: gce.Disks, Name: "mero-build-debug-0011-image", Zone: "us-central1-a", Expires: past, Expired: true},
		{Kind: gce.Disks, Name: "mero-build-debug-2233", Zone: "us-central1-a", Expires: future},
		{Kind: gce.Images, Name: "image-1"},
	}, found)
}

// What could not be asked may hold something: the list is an error then.
func TestAZoneThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	vm := `"zones/us-central1-a":{"instances":[{"name":"vm-1","labels":{"owner":"mero-tee","run":"r"}}]}`
	for name, body := range map[string]string{
		"named":  `{"unreachables":["zones/us-east5-b"],"items":{` + vm + `}}`,
		"warned": `{"items":{"zones/us-east5-b":{"warning":{"code":"UNREACHABLE"}},` + vm + `}}`,
	} {
		w := newWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/aggregated/instances") {
				ok(body).ServeHTTP(rw, r)
				return
			}
			ok(`{}`).ServeHTTP(rw, r)
		}))
		found, err := w.client().Leftovers(t.Context())
		require.Error(t, err, name)
		var f *fault.Error
		require.ErrorAs(t, err, &f)
		require.Contains(t, f.Got, "us-east5-b", name)
		require.Len(t, found, 1, name)
	}
}

func TestAListWithoutEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok(`{"nextPageToken":"again"}`))
	_, err := w.client().Leftovers(t.Context())
	require.ErrorContains(t, err, "no end")
}

func TestPagesAreRepeatedOneByOne(t *testing.T) {
	t.Parallel()
	busy := refuse(503, "backendError", "oops")
	w := newWorld(t, inTurn(ok(`{"nextPageToken":"2"}`), busy, ok(`{}`), busy, busy, ok(`{}`), ok(`{}`)))
	_, err := w.client().Leftovers(t.Context())
	require.NoError(t, err)
	require.Len(t, w.pauses, 3)
	require.Len(t, w.said(&w.requests), 7)
}

func TestOnlyWhatIsOursIsRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok(`{}`))
	c := w.client()
	for _, r := range []gce.Resource{
		{Kind: gce.Instances, Name: "theirs", Zone: zone},
		{Kind: gce.Images, Name: "theirs", Labels: map[string]string{"owner": "another"}},
	} {
		require.Equal(t, fault.Usage, fault.CodeOf(c.Remove(t.Context(), r)))
	}
	require.ErrorContains(t, c.Remove(t.Context(),
		gce.Resource{Kind: "bucket", Labels: map[string]string{"owner": "mero-tee"}}), "unknown kind")
	_, err := c.SweepRun(t.Context(), "")
	require.Equal(t, fault.Usage, fault.CodeOf(err), "no label would be every label")
	_, err = c.SweepRun(t.Context(), "x) OR (labels.run=y")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.Empty(t, w.requests)
}

// A server that ignores the filter must not cost another run its VM.
func TestASweepChecksWhatItWasGiven(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Hour)
	w := newWorld(t, ok(`{"items":{"zones/us-central1-a":{"instances":[{"name":"vm-1","labels":`+
		labels("run-b", past)+`}]}}}`))
	deleted, err := w.client().SweepRun(t.Context(), "run-a")
	require.NoError(t, err)
	require.Empty(t, deleted)
	require.Equal(t, []string{"GET /compute/v1/projects/" + project + "/aggregated/instances",
		"GET /compute/v1/projects/" + project + "/aggregated/disks"}, w.requests)
}

// deletions is a project in which everything can be deleted, once.
func deletions() http.Handler {
	gone := map[string]bool{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			ok(`{"name":"op","status":"DONE"}`).ServeHTTP(w, r)
		case gone[r.URL.Path]:
			refuse(404, "notFound", "The resource was not found").ServeHTTP(w, r)
		default:
			gone[r.URL.Path] = true
			ok(`{"name":"op","status":"RUNNING"}`).ServeHTTP(w, r)
		}
	})
}

func TestRemovalsReachTheirZoneAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	ours := map[string]string{"owner": "mero-tee"}
	const elsewhere = "/compute/v1/projects/" + project + "/zones/europe-west4-b"
	for _, c := range []struct {
		gce.Resource
		path, operation string
	}{
		{gce.Resource{Kind: gce.Instances, Name: "x", Zone: "europe-west4-b", Labels: ours}, elsewhere + "/instances/x",
			elsewhere},
		{gce.Resource{Kind: gce.Disks, Name: "x", Zone: "europe-west4-b", Labels: ours}, elsewhere + "/disks/x", elsewhere},
		{gce.Resource{Kind: gce.Images, Name: "x", Labels: ours}, globally + "/images/x", globally},
	} {
		w := newWorld(t, deletions())
		client := w.client()
		require.NoError(t, client.Remove(t.Context(), c.Resource))
		require.NoError(t, client.Remove(t.Context(), c.Resource))
		require.Equal(t, []string{"DELETE " + c.path, "GET " + c.operation + "/operations/op", "DELETE " + c.path},
			w.requests)
		kind := string(c.Kind)
		require.Equal(t, []string{"begin " + kind + " x", "end " + kind + " x", "begin " + kind + " x", "end " + kind + " x"},
			w.journal)
	}
}

func TestADiskByItsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deletions())
	require.NoError(t, w.client().DeleteDisk(t.Context(), "x"))
	require.Equal(t, []string{"DELETE " + zoned + "/disks/x", "GET " + zoned + "/operations/op"}, w.requests)
}

func TestDeletionsWaitAndFail(t *testing.T) {
	t.Parallel()
	busy := refuse(400, "resourceNotReady", "The resource is not ready")
	begun := ok(`{"name":"op","status":"PENDING"}`)
	running := ok(`{"name":"op","status":"RUNNING"}`)
	failed := func(status int, code string) answer {
		return ok(fmt.Sprintf(`{"name":"op","status":"DONE","httpErrorStatusCode":%d,"httpErrorMessage":"X",`+
			`"error":{"errors":[{"code":%q,"message":"no"}]}}`, status, code))
	}
	w := newWorld(t, inTurn(busy, busy, begun, refuse(404, "notFound", "op"), running, running,
		ok(`{"name":"op","status":"DONE"}`)))
	require.NoError(t, w.client().Delete(t.Context(), "mero-x"))
	require.Len(t, w.pauses, 5)

	w = newWorld(t, busy)
	require.ErrorContains(t, w.client().Delete(t.Context(), "mero-x"), "resourceNotReady")
	require.Len(t, w.said(&w.requests), 20)

	w = newWorld(t, inTurn(begun, failed(404, "RESOURCE_NOT_FOUND")))
	require.NoError(t, w.client().Delete(t.Context(), "mero-x"), "another deletion was faster")

	w = newWorld(t, inTurn(begun, failed(400, "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE")))
	err := w.client().DeleteImage(t.Context(), "x")
	var r *gce.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", r.Reason)
	require.Equal(t, []string{"begin image x", "break off image x"}, w.journal)

	w = newWorld(t, inTurn(begun, running))
	require.ErrorIs(t, w.client().Delete(t.Context(), "mero-x"), context.DeadlineExceeded, "an operation without end")
	var waited time.Duration
	for _, d := range w.pauses {
		waited += d
	}
	between(t, 14*time.Minute, 16*time.Minute, waited)
}
