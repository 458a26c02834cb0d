package gce_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	api "google.golang.org/api/compute/v1"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, labels := range map[string]map[string]string{"one": {"owner": "mero-tee", "run": "a"}, "two": {"owner": "mero-tee", "run": "b"}, "three": nil} {
		require.NoError(t, w.server.Import(t.Context(), ours, &api.Image{Name: name, Labels: labels}, w.base()))
	}
	for filter, want := range map[string][]string{
		"":                          {"one", "three", "two"},
		"labels.owner=mero-tee":     {"one", "two"},
		`labels.owner = "mero-tee"`: {"one", "two"},
		`labels.owner = 'mero-tee'`: {"one", "two"},
		"(labels.owner=mero-tee)":   {"one", "two"},
		"labels.owner!=mero-tee":    {"three"},
		"labels.run:*":              {"one", "two"},
		"(labels.owner=mero-tee) (labels.run = b)":  {"two"},
		"labels.owner=mero-tee AND labels.run=a":    {"one"},
		"(labels.owner=mero-tee) AND (name != one)": {"two"},
		"status=READY AND name=three":               {"three"},
		"labels.owner=nobody":                       nil,
	} {
		got, err := w.api.Images.List(ours).Filter(filter).Do()
		require.NoError(t, err, filter)
		require.Equal(t, want, names(got.Items), filter)
	}
	for _, filter := range []string{"name", "name=", "=x", "name ~ x", "name eq x", "(name=x", "name=x)", "name=x OR name=y", "name=x AND", "name=x name=y", "name:x", `name="x`} {
		_, err := w.api.Images.List(ours).Filter(filter).Do()
		requireReason(t, err, 400, "invalid")
	}
}

func names(images []*api.Image) (all []string) {
	for _, i := range images {
		all = append(all, i.Name)
	}
	return all
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for i := range 5 {
		name := fmt.Sprintf("image-%d", i)
		want = append(want, name)
		require.NoError(t, w.server.Import(t.Context(), ours, &api.Image{Name: name, CreationTimestamp: fmt.Sprintf("2024-01-0%dT00:00:00Z", 9-i)}, w.base()))
	}
	var got []string
	pages := 0
	require.NoError(t, w.api.Images.List(ours).MaxResults(2).Pages(t.Context(), func(page *api.ImageList) error {
		pages++
		got = append(got, names(page.Items)...)
		return nil
	}))
	require.Equal(t, want, got)
	require.Equal(t, 3, pages)
	newest, err := w.api.Images.List(ours).MaxResults(1).OrderBy("creationTimestamp desc").Do()
	require.NoError(t, err)
	require.Equal(t, []string{"image-0"}, names(newest.Items))
}

func TestAggregatedList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.api.Instances.AggregatedList(ours).Filter("labels.owner=mero-tee").Do()
	require.NoError(t, err)
	require.Equal(t, "NO_RESULTS_ON_PAGE", got.Items["zones/"+zone].Warning.Code)
	for _, name := range []string{"a", "b", "c"} {
		w.succeeds(w.insert(vm(name)))
	}
	var all []string
	require.NoError(t, w.api.Instances.AggregatedList(ours).Filter("labels.owner=mero-tee").MaxResults(2).Pages(t.Context(),
		func(page *api.InstanceAggregatedList) error {
			for _, in := range page.Items["zones/"+zone].Instances {
				all = append(all, in.Name)
			}
			return nil
		}))
	require.Equal(t, []string{"a", "b", "c"}, all)
}

// The family gives its newest image that is not deprecated.
func TestFamilies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, name := range []string{"new", "old"} {
		require.NoError(t, w.server.Import(t.Context(), ours, &api.Image{Name: name, Family: "f", CreationTimestamp: fmt.Sprintf("2024-01-0%dT00:00:00+01:00", 2-i)}, w.base()))
	}
	newest := func() string {
		got, err := w.api.Images.GetFromFamily(ours, "f").Do()
		require.NoError(t, err)
		return got.Name
	}
	require.Equal(t, "new", newest())
	w.succeeds(w.api.Images.Deprecate(ours, "new", &api.DeprecationStatus{State: "DEPRECATED"}).Do())
	require.Equal(t, "old", newest())
	w.succeeds(w.api.Images.Deprecate(ours, "new", &api.DeprecationStatus{}).Do())
	require.Equal(t, "new", newest())
	in := vm("a")
	in.Disks[0].InitializeParams.SourceImage = "projects/rehearsal/global/images/family/f"
	w.succeeds(w.insert(in))
	disk, err := w.api.Disks.Get(ours, zone, "a-disk").Do()
	require.NoError(t, err)
	require.Equal(t, "https://www.googleapis.com/compute/v1/projects/rehearsal/global/images/new", disk.SourceImage)
}

func FuzzFilter(f *testing.F) {
	f.Add(`labels.owner = "mero-tee"`)
	f.Add("(a=b) AND (c!=d) e:*")
	f.Fuzz(func(t *testing.T, text string) {
		if gce.ParseFilter(text) == nil && strings.TrimSpace(text) != "" {
			require.NoError(t, gce.ParseFilter("name=x AND "+text), "what holds alone holds with another")
		}
	})
}
