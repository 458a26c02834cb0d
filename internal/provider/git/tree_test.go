package git_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/git"
)

func TestTree(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	write(t, dir, "folder/file.yaml", "committed\n")
	at(t, dir, 1000, "add", ".")
	at(t, dir, 1000, "commit", "-m", "one")
	head, err := git.Head(t.Context(), dir)
	require.NoError(t, err)
	write(t, dir, "folder/file.yaml", "changed\n")

	tree := git.Tree(dir)
	data, err := tree.At(t.Context(), head.Hash, "folder/file.yaml")
	require.NoError(t, err)
	require.Equal(t, "committed\n", string(data))
	data, err = tree.Here("folder/file.yaml")
	require.NoError(t, err)
	require.Equal(t, "changed\n", string(data))

	for name, ask := range map[string][2]string{"another commit": {strings.Repeat("0", 40), "folder/file.yaml"},
		"no such file": {head.Hash, "folder/none"}, "a folder": {head.Hash, "folder"},
		"an option": {"--all", "folder/file.yaml"}} {
		_, err := tree.At(t.Context(), ask[0], ask[1])
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
	_, err = git.Tree(t.TempDir()).At(t.Context(), head.Hash, "folder/file.yaml")
	require.Error(t, err)
	_, err = tree.Here("none")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A clone holds what the commit holds, whatever lies in the work tree or is asked of hooks there.
func TestClone(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	one, err := git.Clone(t.Context(), dir, "v1", filepath.Join(t.TempDir(), "one"))
	require.NoError(t, err)
	require.Equal(t, int64(1_700_000_000), one.Time.Unix())
	write(t, dir, "a.txt", "changed\n")
	write(t, dir, "untracked", "")
	to := filepath.Join(t.TempDir(), "two")
	head, err := git.Head(t.Context(), dir)
	require.NoError(t, err)
	two, err := git.Clone(t.Context(), dir, head.Hash, to)
	require.NoError(t, err)
	require.Equal(t, head, two)
	data, err := git.Tree(to).Here("a.txt")
	require.NoError(t, err)
	require.Equal(t, "1\n", string(data))
	require.NoFileExists(t, filepath.Join(to, "untracked"))
	dirty, err := git.Dirty(t.Context(), to)
	require.NoError(t, err)
	require.Empty(t, dirty)

	_, err = git.Clone(t.Context(), dir, strings.Repeat("0", 40), filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = git.Clone(t.Context(), dir, "--all", filepath.Join(t.TempDir(), "none"))
	require.Error(t, err)
	_, err = git.Clone(t.Context(), dir, "v1", to)
	require.Error(t, err, "a folder that exists")
}

// Not parallel: it changes the process environment. A user's configuration converts no file of a clone.
func TestCloneIsAsCommitted(t *testing.T) {
	dir := repository(t)
	configuration := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(configuration, []byte("[core]\n\tautocrlf = true\n\tsymlinks = false\n"), 0o600))
	require.NoError(t, os.Symlink("a.txt", filepath.Join(dir, "link")))
	at(t, dir, 1_700_000_300, "add", "link")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "a link")
	t.Setenv("GIT_CONFIG_GLOBAL", configuration)
	to := filepath.Join(t.TempDir(), "clone")
	_, err := git.Clone(t.Context(), dir, "HEAD", to)
	require.NoError(t, err)
	data, err := git.Tree(to).Here("a.txt")
	require.NoError(t, err)
	require.Equal(t, "1\n", string(data))
	target, err := os.Readlink(filepath.Join(to, "link"))
	require.NoError(t, err)
	require.Equal(t, "a.txt", target)
}
