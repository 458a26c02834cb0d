package releasetest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/checksum"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Records are what a release's ledger holds.
func Records(t testing.TB, dist string, tag release.Tag) []pipeline.Record {
	t.Helper()
	f, err := os.Open(filepath.Join(dist, tag.String(), pipeline.LedgerName))
	require.NoError(t, err)
	defer f.Close()
	list, size, err := pipeline.ReadLedger(f.Name(), f)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	require.Equal(t, info.Size(), size, "no torn line")
	return list
}

// Passes says how often a step passed.
func Passes(list []pipeline.Record, step string) int {
	n := 0
	for _, r := range list {
		if r.Step == step && r.Kind == "" && r.Event == pipeline.Passed {
			n++
		}
	}
	return n
}

// RequireReleased checks the final state: one release, public, with the staged
// bytes; every step passed exactly once. all are the releases on GitHub.
func RequireReleased(t testing.TB, dist string, tag release.Tag, graph pipeline.Graph, all []github.Release) {
	t.Helper()
	tags := map[string]int{}
	for _, r := range all {
		require.False(t, r.Draft, r.TagName)
		require.True(t, r.TagName != tag.String() || !r.Prerelease, "%s is promoted", r.TagName)
		tags[r.TagName]++
		require.Equal(t, 1, tags[r.TagName], r.TagName)
	}
	require.Contains(t, tags, tag.String())
	RequirePublished(t, dist, tag)
	for _, step := range graph {
		require.Equal(t, 1, Passes(Records(t, dist, tag), step.Name), "%s passed once", step.Name)
	}
}

// RequirePublished compares what GitHub holds with what is staged.
func RequirePublished(t testing.TB, dist string, tag release.Tag) {
	t.Helper()
	want, got := Contents(t, Staged(dist, tag)), Contents(t, OnGitHub(dist, tag))
	require.ElementsMatch(t, tag.Family.ExpectedAssets(), slices.Collect(maps.Keys(got)))
	require.Equal(t, want, got)
	incoming, err := os.ReadDir(filepath.Join(dist, "rehearsal", "github", "incoming"))
	require.NoError(t, err)
	require.Empty(t, incoming, "no half upload is left over")
}

// Contents reads the files of a folder, by name.
func Contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		out[e.Name()] = string(data)
	}
	return out
}

// RequireChecksums checks that the list of checksums among the contents names these assets and no other, with their
// digests.
func RequireChecksums(t testing.TB, contents map[string]string, names []string) {
	t.Helper()
	listed, err := checksum.Parse([]byte(contents[release.ChecksumsAsset]))
	require.NoError(t, err)
	var want []checksum.Entry
	for _, name := range slices.Sorted(slices.Values(names)) {
		want = append(want, checksum.Entry{Name: name, Digest: digest.Of([]byte(contents[name]))})
	}
	require.Equal(t, want, listed)
}

// RequireReport checks that the report of a whole release has all that there is
// to show of it, and no check that did not pass.
func RequireReport(t testing.TB, dist string, tag release.Tag, graph pipeline.Graph) *report.Report {
	t.Helper()
	r, err := steps.Recorded(dist, tag, graph)
	require.NoError(t, err)
	require.Equal(t, report.Released, r.Outcome.State, r.Outcome.Words)
	require.Len(t, r.Judgements, 3, "guards, audit and end-to-end test")
	for _, j := range r.Judgements {
		require.NotEmpty(t, j.Results, j.Title)
		require.Zero(t, j.Results.Count(check.Failed), j.Title)
	}
	require.Len(t, r.Assets, len(tag.Family.SignedAssets()))
	for _, a := range r.Assets {
		require.NotNil(t, a.Signature, a.Name)
		require.Contains(t, a.Signature.Identity, tag.Family.Workflow()+"@refs/tags/"+tag.String())
	}
	require.Len(t, r.Profiles, len(release.Profiles()))
	for _, step := range r.Timeline.Steps {
		require.NotNil(t, step.Start, step.Name)
	}
	require.NotEmpty(t, r.Changes)
	require.NotEmpty(t, r.Facts)
	require.NotEmpty(t, r.Note, "it says that it was a rehearsal")
	_, err = steps.WriteReport(r, t.TempDir())
	require.NoError(t, err)
	return r
}
