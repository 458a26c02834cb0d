package gce_test

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, labels := range map[string]map[string]string{"one": {"owner": "mero-tee", "run": "a"},
		"two": {"owner": "mero-tee", "run": "b"}, "three": nil} {
		require.NoError(t, w.server.Import(ours, &computepb.Image{Name: new(name), Labels: labels}, w.base()))
	}
	for filter, want := range map[string][]string{
		"":                                       {"one", "three", "two"},
		"labels.owner=mero-tee":                  {"one", "two"},
		"(labels.owner=mero-tee)":                {"one", "two"},
		"(labels.owner=mero-tee) (labels.run=b)": {"two"},
		"(status=READY) (name=three)":            {"three"},
		"labels.owner=nobody":                    nil,
	} {
		got, err := w.images(ours, "filter", filter)
		require.NoError(t, err, filter)
		require.Equal(t, want, names(got.Items), filter)
	}
	for _, filter := range []string{"name", "name=", "=x", "name ~ x", "name eq x", "(name=x", "name=x)",
		"(name=x) name=y", "(name=x)(name=y)", "name=x OR name=y", "name=x AND name=y", "name=x name=y", "name:x", "name:*",
		"name!=x", `name="x"`, "(name = x)"} {
		_, err := w.images(ours, "filter", filter)
		requireReason(t, err, 400, "invalid")
	}
}

func names(images []*computepb.Image) (all []string) {
	for _, i := range images {
		all = append(all, i.GetName())
	}
	return all
}

func TestAggregatedList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.instances("filter", "labels.owner=mero-tee")
	require.NoError(t, err)
	require.Equal(t, "NO_RESULTS_ON_PAGE", got.Warning.GetCode())
	for _, name := range []string{"a", "b", "c"} {
		w.succeeds(w.insert(vm(name)))
	}
	var all []string
	got, err = w.instances("filter", "labels.owner=mero-tee")
	require.NoError(t, err)
	for _, in := range got.Instances {
		all = append(all, in.GetName())
	}
	require.Equal(t, []string{"a", "b", "c"}, all)
}

// The family gives its newest image that is not deprecated.
func TestFamilies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, name := range []string{"new", "old"} {
		require.NoError(t, w.server.Import(ours, &computepb.Image{Name: new(name), Family: new("f"),
			CreationTimestamp: new(fmt.Sprintf("2024-01-0%dT00:00:00+01:00", 2-i))}, w.base()))
	}
	newest := func() string {
		got, err := w.newest(ours, "f")
		require.NoError(t, err)
		return got.GetName()
	}
	require.Equal(t, "new", newest())
	w.succeeds(w.deprecate("new", &computepb.DeprecationStatus{State: new("DEPRECATED")}))
	require.Equal(t, "old", newest())
	w.succeeds(w.deprecate("new", &computepb.DeprecationStatus{}))
	require.Equal(t, "new", newest())
	in := vm("a")
	in.Disks[0].InitializeParams.SourceImage = new("projects/rehearsal/global/images/family/f")
	w.succeeds(w.insert(in))
	disk, err := w.disk("a-disk")
	require.NoError(t, err)
	require.Equal(t, "https://www.googleapis.com/compute/v1/projects/rehearsal/global/images/new", disk.GetSourceImage())
}

func FuzzFilter(f *testing.F) {
	f.Add("labels.owner=mero-tee")
	f.Add("(a=b) (c.d=e)")
	f.Fuzz(func(t *testing.T, text string) {
		if gce.ParseFilter(text) == nil && strings.HasPrefix(text, "(") {
			require.NoError(t, gce.ParseFilter("(name=x) "+text), "what holds alone holds with another")
		}
	})
}
