package git_test

import (
	"io/fs"
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
