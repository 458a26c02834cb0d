package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The histories in which a patch bump is a hotfix.
func TestHotfix(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		build        func(r *repository)
		tag, patched string
	}{
		"a branch from the stable tag": {func(r *repository) { r.hotfix("mero-kms-v1.2.0") }, "mero-kms-v1.2.1",
			"mero-kms-v1.2.0"},
		"tagged already": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("tag", "-a", "-m", "x", "mero-kms-v1.2.1")
		}, "mero-kms-v1.2.1", "mero-kms-v1.2.0"},
		"of the node image, by an annotated tag": {func(r *repository) { r.hotfix("mero-tee-v1.0.0") }, "mero-tee-v1.0.1",
			"mero-tee-v1.0.0"},
		"with a fix cherry-picked from main": {func(r *repository) {
			r.git("switch", "-q", "main")
			r.commit("fix", "internal/x.go", "1\n2\n")
			r.git("switch", "-q", "-c", "hotfix", "mero-kms-v1.2.0")
			r.git("cherry-pick", "main")
		}, "mero-kms-v1.2.1", "mero-kms-v1.2.0"},
		"of a hotfix": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("tag", "mero-kms-v1.2.1")
			r.commit("F2", "internal/x.go", "1\n2\n3\n")
		}, "mero-kms-v1.2.2", "mero-kms-v1.2.1"},
		"of an older line, when main went on": {func(r *repository) {
			r.git("tag", "mero-kms-v1.3.0")
			r.hotfix("mero-kms-v1.2.0")
		}, "mero-kms-v1.2.1", "mero-kms-v1.2.0"},
		"of the line's last good release, when a number failed": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("tag", "mero-kms-v1.2.1")
			r.failed = []string{"mero-kms-v1.2.1"}
			r.commit("F2", "internal/x.go", "1\n2\n3\n")
		}, "mero-kms-v1.2.2", "mero-kms-v1.2.0"},
		"that begins anew, when a number failed": {func(r *repository) {
			r.git("tag", "mero-kms-v1.2.1", "main")
			r.failed = []string{"mero-kms-v1.2.1"}
			r.hotfix("mero-kms-v1.2.0")
		}, "mero-kms-v1.2.2", "mero-kms-v1.2.0"},
		"of two commits squashed from main": {func(r *repository) { // as a cherry-pick of both: its paths want reasons
			r.git("switch", "-q", "-c", "hotfix", "mero-kms-v1.2.0")
			r.commit("squashed", "new.go", "1\n", "other.go", "1\n")
		}, "mero-kms-v1.2.1", "mero-kms-v1.2.0"},
		"when only the origin's main is here": {func(r *repository) {
			r.git("update-ref", "refs/remotes/origin/main", "main")
			r.hotfix("mero-kms-v1.2.0")
			r.git("branch", "-q", "-D", "main")
		}, "mero-kms-v1.2.1", "mero-kms-v1.2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			tc.build(r)
			d, err := r.of(tc.tag)
			require.NoError(t, err)
			require.Equal(t, release.Hotfix, d.Class)
			require.Equal(t, tc.patched, d.Patched.String())
			require.NotEmpty(t, d.Diff)
			require.NotContains(t, paths(d.Diff), "newer.go")
		})
	}
}

func paths(diff []git.Change) []string {
	out := make([]string, len(diff))
	for i, c := range diff {
		out[i] = c.Path
	}
	return out
}

// "Release, then merge": a second run of a release that is public is not refused for the merge.
func TestAPublicHotfixThatMainHasMerged(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.hotfix("mero-kms-v1.2.0")
	r.git("branch", "-f", "main", "hotfix")
	_, err := r.of("mero-kms-v1.2.1")
	require.ErrorContains(t, err, "carries newer work of main")
	r.public = true
	d, err := r.of("mero-kms-v1.2.1")
	require.NoError(t, err)
	require.Equal(t, release.Hotfix, d.Class)
}

// The histories in which a patch bump is refused.
func TestPatchBumpIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		build        func(r *repository)
		tag, message string
		hint         string
	}{
		"a release from main": {func(r *repository) {}, "mero-kms-v1.2.1", "carries newer work of main",
			"as mero-kms-v1.3.0; for a hotfix, git switch -c hotfix/1.2.1 mero-kms-v1.2.0"},
		"from main, node": {func(r *repository) {}, "mero-tee-v1.0.1", "carries newer work of main",
			"as mero-tee-v1.1.0"},
		"from main, detached": {func(r *repository) { r.git("checkout", "-q", "--detach", "main~1") }, "mero-kms-v1.2.1",
			"carries newer work of main", ""},
		"a number left out": {func(r *repository) { r.hotfix("mero-kms-v1.2.0") }, "mero-kms-v1.2.5",
			"mero-kms-v1.2.5 leaves out a number after mero-kms-v1.2.0", "exactly the next patch"},
		"a number left out, when another failed": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("tag", "mero-kms-v1.2.1")
			r.failed = []string{"mero-kms-v1.2.1"}
		}, "mero-kms-v1.2.3", "mero-kms-v1.2.3 leaves out a number after mero-kms-v1.2.0", "tag it mero-kms-v1.2.2"},
		"a candidate's number is not used up": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("tag", "mero-kms-v1.2.1-rc.1")
		}, "mero-kms-v1.2.2", "leaves out a number", "tag it mero-kms-v1.2.1"},
		"from main, after a hotfix failed": {func(r *repository) {
			r.git("tag", "mero-kms-v1.2.1", "main")
			r.failed = []string{"mero-kms-v1.2.1"}
		}, "mero-kms-v1.2.2", "carries newer work of main", "as mero-kms-v1.3.0"},
		"merged by the button that squashes, and gone on": {func(r *repository) {
			r.git("switch", "-q", "-c", "topic", "mero-kms-v1.2.0")
			r.commit("P", "topic.go", "1\n")
			r.git("switch", "-q", "main")
			r.git("merge", "-q", "--squash", "topic")
			r.commit("P (#1)")
			r.hotfix("main")
		}, "mero-kms-v1.2.1", "carries newer work of main", ""},
		"merged by the button that rebases": {func(r *repository) { // onto the tag: the same commits are main's
			r.git("switch", "-q", "-c", "line", "mero-kms-v1.2.0")
			r.commit("F", "internal/x.go", "1\n2\n")
			r.git("branch", "-f", "main", "line")
			r.commit("F2", "internal/x.go", "1\n2\n3\n")
		}, "mero-kms-v1.2.1", "carries newer work of main", ""},
		"merged into main before its release": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("switch", "-q", "main")
			r.git("merge", "-q", "--no-ff", "-m", "merge", "hotfix")
			r.git("switch", "-q", "hotfix")
		}, "mero-kms-v1.2.1", "carries newer work of main", "after its release, not before"},
		"merging a topic branch that main has merged": {func(r *repository) {
			r.git("switch", "-q", "-c", "topic", "mero-kms-v1.2.0")
			r.commit("P", "topic.go", "1\n")
			r.git("switch", "-q", "main")
			r.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
			r.hotfix("mero-kms-v1.2.0")
			r.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
		}, "mero-kms-v1.2.1", "carries newer work of main", ""},
		"on a branch that merged main and became it": {func(r *repository) {
			r.git("switch", "-q", "-c", "topic", "mero-kms-v1.2.0")
			r.commit("P", "topic.go", "1\n")
			r.git("merge", "-q", "-m", "merge", "main")
			r.git("branch", "-f", "main", "topic")
			r.commit("F", "internal/x.go", "1\n2\n")
		}, "mero-kms-v1.2.1", "carries newer work of main", ""},
		"cut from newer main": {func(r *repository) { r.hotfix("main~1") }, "mero-kms-v1.2.1",
			"carries newer work of main", ""},
		"main merged into it": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("merge", "-q", "-m", "merge",
				"main")
		}, "mero-kms-v1.2.1", "carries newer work of main", ""},
		"a higher line is out": {func(r *repository) { r.git("tag", "mero-kms-v1.3.0", "main~1") }, "mero-kms-v1.2.1",
			"carries newer work of main", "as mero-kms-v1.4.0"},
		"main fast-forwarded to it": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("branch", "-f", "main", "hotfix")
		}, "mero-kms-v1.2.1", "carries newer work of main", ""},
		"off an older tag": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("tag", "mero-kms-v1.2.1")
			r.git("switch", "-q", "-c", "other", "mero-kms-v1.2.0")
			r.commit("G", "internal/x.go", "3\n")
		}, "mero-kms-v1.2.2", "does not descend from it", ""},
		"off main instead of a hotfix that main lacks": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("tag", "mero-kms-v1.2.1")
			r.git("switch", "-q", "main")
		}, "mero-kms-v1.2.2", "does not descend from it", ""},
		"off main that merged the hotfix": {func(r *repository) {
			r.hotfix("mero-kms-v1.2.0")
			r.git("tag", "mero-kms-v1.2.1")
			r.git("switch", "-q", "main")
			r.git("merge", "-q", "--no-ff", "-m", "merge", "hotfix")
		}, "mero-kms-v1.2.2", "carries newer work of main", ""},
		"a topic branch that merged main": {func(r *repository) {
			r.git("switch", "-q", "-c", "topic", "mero-kms-v1.2.0")
			r.commit("P", "topic.go", "1\n")
			r.git("merge", "-q", "-m", "merge", "main")
			r.hotfix("mero-kms-v1.2.0")
			r.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
		}, "mero-kms-v1.2.1", "carries newer work of main", ""},
		"main here is ahead of the origin's": {func(r *repository) {
			r.git("update-ref", "refs/remotes/origin/main", "mero-kms-v1.2.0")
		}, "mero-kms-v1.2.1", "carries newer work of main", ""},
		"backwards": {func(r *repository) {
			r.git("tag", "mero-kms-v1.3.0")
			r.git("checkout", "-q", "--detach", "mero-kms-v1.2.0")
		}, "mero-kms-v1.3.1", "does not descend from it", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			tc.build(r)
			_, err := r.of(tc.tag)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, fault.Verification, f.Code)
			require.Contains(t, f.Message, tc.message)
			require.Contains(t, f.Hint, tc.hint)
			require.NotEmpty(t, f.Expected)
			require.NotEmpty(t, f.Got)
		})
	}
}

func TestStableAndCandidate(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	for tag, want := range map[string]release.Class{
		"mero-kms-v1.3.0": release.Stable, "mero-kms-v2.0.0": release.Stable,
		"mero-kms-v1.1.1":      release.Stable, // nothing of 1.1 was released that it could patch
		"mero-kms-v3.2.1":      release.Stable,
		"mero-kms-v1.0.1":      release.Stable, // the other family's 1.0.0 is nothing to it
		"mero-tee-v2.0.1":      release.Stable,
		"mero-kms-v1.2.1-rc.1": release.Candidate, "mero-tee-v3.0.0-rc.2": release.Candidate,
	} {
		d, err := r.of(tag)
		require.NoError(t, err, tag)
		require.Equal(t, want, d.Class, tag)
		require.True(t, d.Patched.IsZero())
		require.Empty(t, d.Diff)
	}
	r.git("tag", "mero-kms-v1.4.0-rc.1")
	d, err := r.of("mero-kms-v1.4.1")
	require.NoError(t, err)
	require.Equal(t, release.Stable, d.Class, "a candidate is not a release that could be patched")
}

// The first release of a family needs no history at all, nor does building the same commit again.
func TestFirstReleaseAndRebuild(t *testing.T) {
	t.Parallel()
	r := &repository{t: t, dir: t.TempDir()}
	r.git("init", "-q", "-b", "trunk") // there is no branch main
	r.commit("first", "a", "1\n")
	for _, tag := range []string{"mero-kms-v0.1.0", "mero-tee-v0.0.1", "mero-kms-v0.1.1"} {
		d, err := r.of(tag)
		require.NoError(t, err)
		require.Equal(t, release.Stable, d.Class, tag)
	}
	r.git("tag", "mero-kms-v0.1.0")
	d, err := r.of("mero-kms-v0.1.1")
	require.NoError(t, err)
	require.Equal(t, release.Hotfix, d.Class)
	require.Equal(t, "mero-kms-v0.1.0", d.Patched.String())
	require.Empty(t, d.Diff)

	r.commit("second", "a", "2\n")
	_, err = r.of("mero-kms-v0.1.1")
	require.ErrorContains(t, err, "no branch main here", "what cannot be judged is not cleared")
	require.Equal(t, fault.General, fault.CodeOf(err))
	_, err = r.of("mero-kms-v0.1.0")
	require.ErrorContains(t, err, "mero-kms-v0.1.0 is the tag of another commit")
	s := r.subject("mero-kms-v0.1.1")
	s.Tags["mero-kms-v0.1.0"] = "0123456789012345678901234567890123456789"
	_, err = classOf(t, s, r)
	require.ErrorContains(t, err, "no such commit here")
}

// What failed is no stable release: it can neither be patched nor be the highest.
func TestReleasesThatFailed(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.failed = []string{"mero-kms-v1.2.0", "mero-kms-v1.3.0", "mero-kms-v1.3.1"}
	r.git("tag", "mero-kms-v1.3.0", "main~1")
	for tag, want := range map[string]release.Class{
		"mero-kms-v1.2.1": release.Stable, // there is no stable tag of 1.2 that it could branch from
		"mero-kms-v1.3.1": release.Stable, "mero-kms-v1.3.5": release.Stable, "mero-kms-v1.4.0": release.Stable,
	} {
		d, err := r.of(tag)
		require.NoError(t, err, tag)
		require.Equal(t, want, d.Class, tag)
		require.True(t, d.Patched.IsZero(), tag)
		require.True(t, d.Highest, tag)
	}
	s := r.subject("mero-kms-v1.2.1")
	s.Stable = append(s.Stable, release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2}})
	delete(s.Tags, "mero-kms-v1.2.0")
	_, err := classOf(t, s, r)
	require.ErrorContains(t, err, "is released, and its tag is gone")
}

// Only what GitHub shows as a release of a final version is one.
func TestPublished(t *testing.T) {
	t.Parallel()
	got := plan.Published([]github.Release{{TagName: "mero-kms-v1.0.0"}, {TagName: "mero-tee-v1.0.0"},
		{TagName: "mero-kms-v1.0.1", Prerelease: true}, {TagName: "mero-kms-v1.0.2", Draft: true},
		{TagName: "mero-kms-v1.0.3", Draft: true, Prerelease: true}, {TagName: "mero-kms-v1.1.0-rc.1"},
		{TagName: "mero-kms-v1.1.0-rc.2", Prerelease: true}, {TagName: "v9"}, {TagName: ""}})
	var names []string
	for _, tag := range got {
		names = append(names, tag.String())
	}
	require.Equal(t, []string{"mero-kms-v1.0.0", "mero-tee-v1.0.0"}, names)
}

func TestHighest(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	for tag, want := range map[string]bool{"mero-kms-v1.3.0": true, "mero-kms-v1.2.0": true, "mero-kms-v1.1.0": false,
		"mero-tee-v1.1.0": true} {
		s := r.subject(tag)
		delete(s.Tags, "mero-kms-v1.2.0")
		s.Tags["mero-kms-v1.1.9"], s.Tags["mero-kms-v9.0.0-rc.1"], s.Tags["junk"] = s.Commit, s.Commit, s.Commit
		s.Tags["mero-kms-v9.0.0"] = s.Commit // its release failed
		s.Stable = []release.Tag{{Family: release.KMS, Version: release.Version{Major: 1, Minor: 1, Patch: 9}}}
		d, err := classOf(t, s, r)
		require.NoError(t, err)
		require.Equal(t, want, d.Highest, tag)
	}
}
