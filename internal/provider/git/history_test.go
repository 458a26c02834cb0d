package git_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// history is: v1 - M1 - M2 (main, merges the branch), and v1 - F (hotfix).
func history(t *testing.T) (dir string, commit func(rev string) string) {
	t.Helper()
	dir = t.TempDir()
	at(t, dir, 1_700_000_000, "init", "-q", "-b", "main")
	at(t, dir, 1_700_000_000, "commit", "-q", "--allow-empty", "-m", "stable")
	at(t, dir, 1_700_000_000, "tag", "-a", "-m", "annotated", "v1")
	at(t, dir, 1_700_000_100, "commit", "-q", "--allow-empty", "-m", "M1")
	at(t, dir, 1_700_000_200, "switch", "-q", "-c", "hotfix", "v1")
	at(t, dir, 1_700_000_200, "commit", "-q", "--allow-empty", "-m", "F")
	at(t, dir, 1_700_000_300, "switch", "-q", "main")
	at(t, dir, 1_700_000_300, "merge", "-q", "--no-ff", "-m", "M2", "hotfix")
	commits := map[string]string{}
	for name, rev := range map[string]string{"v1": "v1", "M1": "main~1", "M2": "main", "F": "hotfix"} {
		at(t, dir, 1_700_000_300, "tag", name+"-at", rev+"^{commit}")
		all, err := git.TagCommits(t.Context(), dir)
		require.NoError(t, err)
		commits[name] = all[name+"-at"]
	}
	return dir, func(rev string) string { return commits[rev] }
}

func TestDescends(t *testing.T) {
	t.Parallel()
	dir, _ := history(t)
	for _, tc := range []struct {
		commit, from string
		want         bool
	}{{"main", "v1", true}, {"hotfix", "v1", true}, {"v1", "v1", true}, {"main", "hotfix", true}, {"v1", "main", false},
		{"hotfix", "main~1", false}} {
		got, err := git.Descends(t.Context(), dir, tc.commit, tc.from)
		require.NoError(t, err)
		require.Equal(t, tc.want, got, "%s from %s", tc.commit, tc.from)
	}
	_, err := git.Descends(t.Context(), dir, "main", "none")
	require.ErrorContains(t, err, "no such commit here")
	_, err = git.Descends(t.Context(), dir, "--help", "main")
	require.ErrorContains(t, err, "no such commit here")
}

func TestMainWork(t *testing.T) {
	t.Parallel()
	dir, commit := history(t)
	work := func(from, to string) []string {
		got, err := git.MainWork(t.Context(), dir, from, to)
		require.NoError(t, err)
		return got
	}
	require.Equal(t, []string{commit("M2"), commit("F"), commit("M1")}, work("v1", "main"))
	require.Equal(t, []string{commit("F")}, work("v1", "hotfix"), "main merged the branch before it was released")
	require.Equal(t, []string{commit("M2"), commit("M1")}, work("hotfix", "main"))
	at(t, dir, 1_700_000_350, "switch", "-q", "hotfix")
	at(t, dir, 1_700_000_350, "commit", "-q", "--allow-empty", "-m", "G")
	require.Equal(t, []string{commit("F")}, work("v1", "hotfix"))
	at(t, dir, 1_700_000_350, "switch", "-q", "-c", "another", "v1")
	at(t, dir, 1_700_000_350, "commit", "-q", "--allow-empty", "-m", "own")
	require.Empty(t, work("v1", "another"), "a branch of its own")
	at(t, dir, 1_700_000_350, "switch", "-q", "main")
	require.Empty(t, work("v1", "v1"))

	// The remote's main counts too, and alone.
	at(t, dir, 1_700_000_400, "update-ref", "refs/remotes/origin/main", "main")
	at(t, dir, 1_700_000_400, "checkout", "-q", "--detach", "main")
	at(t, dir, 1_700_000_400, "branch", "-f", "main", "v1^{commit}")
	require.Len(t, work("v1", "HEAD"), 3, "main here is behind the origin's")
	at(t, dir, 1_700_000_400, "branch", "-q", "-D", "main")
	require.Len(t, work("v1", "HEAD"), 3)
	at(t, dir, 1_700_000_400, "update-ref", "-d", "refs/remotes/origin/main")
	_, err := git.MainWork(t.Context(), dir, "v1", "HEAD")
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "no branch main here", "without main nothing is cleared")
	_, err = git.MainWork(t.Context(), dir, "none", "HEAD")
	require.ErrorContains(t, err, "no such commit here")
	_, err = git.MainWork(t.Context(), dir, "v1", "none")
	require.ErrorContains(t, err, "no such commit here")
}

// However main came to have a commit, a hotfix that carries it carries main's work.
func TestMainWorkWhicheverWayMainWasTurned(t *testing.T) {
	t.Parallel()
	for name, turn := range map[string]func(git func(args ...string)){
		"merged by a button": func(git func(args ...string)) {
			git("switch", "-q", "main")
			git("merge", "-q", "--no-ff", "-m", "Merge pull request #1", "feature")
		},
		"main merged into the branch, then moved to it": func(git func(args ...string)) {
			git("switch", "-q", "feature")
			git("merge", "-q", "--no-ff", "-m", "Merge branch main", "main")
			git("branch", "-f", "main", "feature")
		},
		"fast-forwarded": func(git func(args ...string)) {
			git("branch", "-f", "main", "feature")
		},
		"merged twice": func(git func(args ...string)) {
			git("switch", "-q", "-c", "bundle", "main")
			git("merge", "-q", "--no-ff", "-m", "bundle", "feature")
			git("switch", "-q", "main")
			git("merge", "-q", "--no-ff", "-m", "Merge pull request #2", "bundle")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := history(t)
			run := func(args ...string) { at(t, dir, 1_700_000_500, args...) }
			run("switch", "-q", "-c", "feature", "v1")
			run("commit", "-q", "--allow-empty", "-m", "feature")
			turn(run)
			run("switch", "-q", "-c", "fix", "feature")
			run("commit", "-q", "--allow-empty", "-m", "fix")
			work, err := git.MainWork(t.Context(), dir, "v1", "fix")
			require.NoError(t, err)
			require.NotEmpty(t, work)
		})
	}
}

// A clone that has commits replaced, or given other parents, is asked for what they were made as.
func TestReplacedHistoryIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, rewrite := range map[string]func(t *testing.T, dir string, commit func(string) string){
		"replaced": func(t *testing.T, dir string, commit func(string) string) {
			at(t, dir, 1_700_000_400, "replace", "--graft", commit("M2"), commit("v1"))
		},
		"grafted": func(t *testing.T, dir string, commit func(string) string) {
			write(t, dir, ".git/info/grafts", commit("M2")+" "+commit("v1")+"\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, commit := history(t)
			rewrite(t, dir, commit)
			work, err := git.MainWork(t.Context(), dir, "v1", "main")
			require.NoError(t, err)
			require.Equal(t, []string{commit("M2"), commit("F"), commit("M1")}, work)
			log, err := git.Log(t.Context(), dir, "v1", "main")
			require.NoError(t, err)
			require.Len(t, log, 3)
		})
	}
}

func TestShallowClonesAreNotJudged(t *testing.T) {
	t.Parallel()
	dir, _ := history(t)
	clone := filepath.Join(t.TempDir(), "clone")
	at(t, dir, 1_700_000_400, "clone", "-q", "--depth=1", "file://"+dir, clone)
	_, err := git.MainWork(t.Context(), clone, "HEAD", "HEAD")
	require.ErrorContains(t, err, "shallow clone")
	_, err = git.Descends(t.Context(), clone, "HEAD", "HEAD")
	require.ErrorContains(t, err, "shallow clone")
	_, err = git.Log(t.Context(), clone, "", "HEAD")
	require.ErrorContains(t, err, "shallow clone", "its log would end early")
	_, err = git.SinceBase(t.Context(), clone, "HEAD")
	require.ErrorContains(t, err, "shallow clone", "an older commit could look like the one at which the two part")
}

func TestTagCommits(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	head, err := git.Head(t.Context(), dir)
	require.NoError(t, err)
	at(t, dir, 1_700_000_300, "tag", "of-a-tree", "HEAD^{tree}")
	tags, err := git.TagCommits(t.Context(), dir)
	require.NoError(t, err)
	require.Len(t, tags, 3)
	require.Equal(t, head.Hash, tags["v2"], "an annotated tag is followed")
	require.Equal(t, head.Hash, tags["v2-light"])
	require.NotEqual(t, head.Hash, tags["v1"])
	_, err = git.TagCommits(t.Context(), t.TempDir())
	require.Error(t, err)
}

// git allows every white space but the ASCII one in a tag's name, and a tag of a tag.
func TestTagsWithNamesThatLookLikeSeveral(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	head, err := git.Head(t.Context(), dir)
	require.NoError(t, err)
	before, err := git.TagCommits(t.Context(), dir)
	require.NoError(t, err)
	for _, space := range []string{"\u00a0", "\u0085", "\u2003", "\u3000"} {
		at(t, dir, 1_700_000_300, "tag", "old"+space+"mero-kms-v1.1.0")
		at(t, dir, 1_700_000_300, "tag", "-a", "-m", "x", "v1"+space+"commit"+space+"2")
		before["old"+space+"mero-kms-v1.1.0"], before["v1"+space+"commit"+space+"2"] = head.Hash, head.Hash
	}
	at(t, dir, 1_700_000_300, "tag", "-a", "-m", "x", "again", "v2")
	at(t, dir, 1_700_000_300, "tag", "-a", "-m", "x", "and-again", "again")
	before["again"], before["and-again"] = head.Hash, head.Hash
	at(t, dir, 1_700_000_300, "tag", "-a", "-m", "x", "tree", "HEAD^{tree}")
	at(t, dir, 1_700_000_300, "tag", "-a", "-m", "x", "tree-again", "tree")
	commits, err := git.TagCommits(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, before, commits)
	tags, err := git.Tags(t.Context(), dir)
	require.NoError(t, err)
	delete(before, "v1")
	require.Equal(t, slices.Sorted(maps.Keys(before)), tags, "those that lead to HEAD")
}

func TestChanges(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	write(t, dir, "gone.txt", "1\n2\n")
	write(t, dir, "old.txt", "a line\nthat is long enough to be recognised\n")
	at(t, dir, 1_700_000_300, "add", ".")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "before")
	at(t, dir, 1_700_000_300, "tag", "before")
	write(t, dir, "a.txt", "2\n3\n")
	write(t, dir, "tab\there \"ü\".bin", "\x00\x01")
	at(t, dir, 1_700_000_400, "rm", "-q", "gone.txt")
	at(t, dir, 1_700_000_400, "mv", "old.txt", "new.txt")
	at(t, dir, 1_700_000_400, "add", "-A")
	at(t, dir, 1_700_000_400, "commit", "-q", "-m", "after")
	want := []git.Change{{Path: "a.txt", Added: 2, Deleted: 1}, {Path: "gone.txt", Deleted: 2},
		{Path: "new.txt", Added: 2}, {Path: "old.txt", Deleted: 2}, {Path: "tab\there \"ü\".bin", Binary: true}}
	for name, value := range map[string]string{"diff.noprefix": "true", "diff.external": "false", "diff.renames": "copies",
		"diff.relative": "true", "color.ui": "always", "diff.algorithm": "histogram"} {
		got, err := git.Changes(t.Context(), dir, "before", "HEAD")
		require.NoError(t, err)
		require.Equal(t, want, got)
		at(t, dir, 1_700_000_500, "config", name, value)
	}
	got, err := git.Changes(t.Context(), dir, "before", "HEAD")
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = git.Changes(t.Context(), dir, "HEAD", "HEAD")
	require.NoError(t, err)
	require.Empty(t, got)
	for _, rev := range []string{"none", "--output=x", ""} {
		_, err = git.Changes(t.Context(), dir, rev, "HEAD")
		require.ErrorContains(t, err, "no such commit here")
		_, err = git.Changes(t.Context(), dir, "HEAD", rev)
		require.ErrorContains(t, err, "no such commit here")
	}
}

func TestLastChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at(t, dir, 1_700_000_000, "init", "-q", "-b", "main")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "policies"), 0o755))
	for i, content := range []string{"1", "2"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "policies", "*.json"), []byte(content), 0o600))
		at(t, dir, 1_700_000_100+int64(i)*100, "add", "-A")
		at(t, dir, 1_700_000_100+int64(i)*100, "commit", "-q", "-m", content)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "policies", "debug.json"), []byte("x"), 0o600))
	at(t, dir, 1_700_000_300, "add", "-A")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "another file")
	changed, err := git.LastChange(t.Context(), dir, "policies/*.json")
	require.NoError(t, err)
	require.Equal(t, int64(1_700_000_200), changed.Unix(), "a path is no pattern")
	changed, err = git.LastChange(t.Context(), filepath.Join(dir, "policies"), "policies/debug.json")
	require.NoError(t, err)
	require.Equal(t, int64(1_700_000_300), changed.Unix(), "paths are the repository's, wherever dir is")
	_, err = git.LastChange(t.Context(), dir, "policies/none.json")
	require.ErrorContains(t, err, "no commit of HEAD's history changed policies/none.json")
	_, err = git.LastChange(t.Context(), t.TempDir(), "x")
	require.Error(t, err)
}
