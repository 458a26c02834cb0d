package git_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

func TestSinceBase(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	write(t, dir, "gone.txt", "a line\nthat is long enough to be recognised\n")
	write(t, dir, "old name.txt", "another line\nthat is long enough to be recognised\n")
	at(t, dir, 1_700_000_300, "add", ".")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "before the branch")
	at(t, dir, 1_700_000_400, "switch", "-q", "-c", "topic")
	write(t, dir, "a.txt", "2\n")
	write(t, dir, "sub/wörld \"q\".md", "new\n")
	require.NoError(t, os.Remove(filepath.Join(dir, "gone.txt")))
	at(t, dir, 1_700_000_400, "mv", "old name.txt", "new name.txt")
	at(t, dir, 1_700_000_400, "add", "-A")
	at(t, dir, 1_700_000_400, "commit", "-q", "-m", "the change")
	write(t, dir, "not committed", "x")
	want := map[string]git.Status{"a.txt": git.Modified, "gone.txt": git.Deleted, "new name.txt": git.Added,
		"old name.txt": git.Deleted, "sub/wörld \"q\".md": git.Added}

	changed, err := git.SinceBase(t.Context(), dir, "main")
	require.NoError(t, err)
	require.Equal(t, want, changed.Files, "a rename is a file gone and a file new; what is not committed is not listed")

	// What the base got meanwhile is not the branch's change.
	at(t, dir, 1_700_000_500, "switch", "-q", "main")
	write(t, dir, "meanwhile.txt", "x")
	at(t, dir, 1_700_000_500, "add", "meanwhile.txt")
	at(t, dir, 1_700_000_500, "commit", "-q", "-m", "meanwhile")
	at(t, dir, 1_700_000_500, "switch", "-q", "topic")
	changed, err = git.SinceBase(t.Context(), dir, "main")
	require.NoError(t, err)
	require.Equal(t, want, changed.Files)
	_, err = git.File(t.Context(), dir, changed.From, "meanwhile.txt")
	require.ErrorIs(t, err, fs.ErrNotExist)

	none, err := git.SinceBase(t.Context(), dir, "HEAD")
	require.NoError(t, err)
	require.Empty(t, none.Files)
}

// The user's configuration decides neither what is listed nor how it is spelt.
func TestSinceBaseIgnoresConfiguration(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	write(t, dir, "ünïcode.md", "x\n")
	at(t, dir, 1_700_000_300, "add", ".")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "more")
	for name, value := range map[string]string{"core.quotePath": "true", "diff.noprefix": "true", "diff.external": "false",
		"diff.renames": "copies", "diff.relative": "true", "color.ui": "always"} {
		at(t, dir, 1_700_000_300, "config", name, value)
	}
	changed, err := git.SinceBase(t.Context(), dir, "v2")
	require.NoError(t, err)
	require.Equal(t, map[string]git.Status{"ünïcode.md": git.Added}, changed.Files)
}

// A submodule that .gitmodules has every diff ignore changes what is released as any other path does.
func TestIgnoredSubmodulesAreListed(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	write(t, dir, ".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = https://example.org/sub\n\tignore = all\n")
	at(t, dir, 1_700_000_300, "add", ".")
	for _, commit := range []string{"1", "2"} {
		at(t, dir, 1_700_000_300, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat(commit, 40)+",sub")
		at(t, dir, 1_700_000_300, "commit", "-q", "-m", "sub at "+commit)
	}
	changes, err := git.Changes(t.Context(), dir, "HEAD~", "HEAD")
	require.NoError(t, err)
	require.Equal(t, []git.Change{{Path: "sub", Added: 1, Deleted: 1}}, changes)
	changed, err := git.SinceBase(t.Context(), dir, "HEAD~")
	require.NoError(t, err)
	require.Equal(t, map[string]git.Status{"sub": git.Modified}, changed.Files)
}

func TestSinceBaseNeedsABase(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, base := range []string{"", "none", "--output=" + out, "v1..v2", "-"} {
		_, err := git.SinceBase(t.Context(), dir, base)
		require.Equal(t, fault.Usage, fault.CodeOf(err), base)
		require.ErrorContains(t, err, "no such commit here", base)
	}
	require.NoFileExists(t, out)
	at(t, dir, 1_700_000_300, "checkout", "-q", "--orphan", "unrelated")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "another beginning")
	_, err := git.SinceBase(t.Context(), dir, "main")
	require.Equal(t, fault.Usage, fault.CodeOf(err), "what cannot be compared is not called unchanged")
}

// A file is read at a commit whatever the work tree holds; what is no plain file there is none.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	write(t, dir, "sub/a.json", "{}\n")
	require.NoError(t, os.Symlink("a.json", filepath.Join(dir, "sub", "link.json")))
	at(t, dir, 1_700_000_300, "add", ".")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "files")
	write(t, dir, "sub/a.json", "changed\n")
	data, err := git.File(t.Context(), dir, "HEAD", "sub/a.json")
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(data))
	for _, path := range []string{"sub", "sub/link.json", "sub/*.json", "none", "../x", ""} {
		_, err := git.File(t.Context(), dir, "HEAD", path)
		require.Error(t, err, path)
	}
	_, err = git.File(t.Context(), dir, "HEAD", "sub/link.json")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = git.File(t.Context(), dir, "none", "sub/a.json")
	require.ErrorContains(t, err, "no such commit here")
}
