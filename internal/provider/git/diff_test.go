package git_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

func TestChanged(t *testing.T) {
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
	want := []string{"a.txt", "new name.txt", "sub/wörld \"q\".md"}

	changed, err := git.Changed(t.Context(), dir, "main")
	require.NoError(t, err)
	require.Equal(t, want, changed, "a rename is a new file; what is deleted or not committed is not listed")

	// What the base got meanwhile is not the branch's change.
	at(t, dir, 1_700_000_500, "switch", "-q", "main")
	write(t, dir, "meanwhile.txt", "x")
	at(t, dir, 1_700_000_500, "add", "meanwhile.txt")
	at(t, dir, 1_700_000_500, "commit", "-q", "-m", "meanwhile")
	at(t, dir, 1_700_000_500, "switch", "-q", "topic")
	changed, err = git.Changed(t.Context(), dir, "main")
	require.NoError(t, err)
	require.Equal(t, want, changed)

	none, err := git.Changed(t.Context(), dir, "HEAD")
	require.NoError(t, err)
	require.Empty(t, none)
}

// The user's configuration decides neither what is listed nor how it is spelt.
func TestChangedIgnoresConfiguration(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	write(t, dir, "ünïcode.md", "x\n")
	at(t, dir, 1_700_000_300, "add", ".")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "more")
	for name, value := range map[string]string{"core.quotePath": "true", "diff.noprefix": "true", "diff.external": "false",
		"diff.renames": "copies", "diff.relative": "true", "color.ui": "always"} {
		at(t, dir, 1_700_000_300, "config", name, value)
	}
	changed, err := git.Changed(t.Context(), dir, "v2")
	require.NoError(t, err)
	require.Equal(t, []string{"ünïcode.md"}, changed)
}

func TestChangedNeedsABase(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, base := range []string{"", "none", "--output=" + out, "v1..v2", "-"} {
		_, err := git.Changed(t.Context(), dir, base)
		require.Equal(t, fault.General, fault.CodeOf(err), base)
		require.ErrorContains(t, err, "no such commit here", base)
	}
	require.NoFileExists(t, out)
	at(t, dir, 1_700_000_300, "checkout", "-q", "--orphan", "unrelated")
	at(t, dir, 1_700_000_300, "commit", "-q", "-m", "another beginning")
	_, err := git.Changed(t.Context(), dir, "main")
	require.ErrorContains(t, err, "no merge base", "what cannot be compared is not called unchanged")
}
