package file_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// TestMain is also the process that is killed: it makes a folder, says where, and waits for its end.
func TestMain(m *testing.M) {
	if os.Getenv("TEMP_UNTIL_KILLED") == "" {
		os.Exit(m.Run())
	}
	dir, _, err := file.Temp("work")
	fmt.Println(dir, err)
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// Not parallel, as all here that set the temporary directory.
func TestTemporaryFoldersOfAKilledProcessGo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	own, err := os.Executable()
	require.NoError(t, err)
	other := exec.CommandContext(t.Context(), own)
	other.Env = append(os.Environ(), "TEMP_UNTIL_KILLED=1")
	_, err = other.StdinPipe()
	require.NoError(t, err)
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	theirs := strings.TrimSuffix(said, " <nil>\n")
	require.DirExists(t, theirs)
	require.NoError(t, os.WriteFile(filepath.Join(theirs, "content"), nil, 0o400))

	_, remove, err := file.Temp("work")
	require.NoError(t, err)
	remove()
	require.DirExists(t, theirs, "its process lives")

	require.NoError(t, other.Process.Kill())
	require.Error(t, other.Wait())
	require.DirExists(t, theirs, "a kill leaves it")
	_, remove, err = file.Temp("work")
	require.NoError(t, err)
	remove()
	requireEmpty(t, os.TempDir())
}

func TestATemporaryFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	one, removeOne, err := file.Temp("syft")
	require.NoError(t, err)
	require.Equal(t, "syft", filepath.Base(one))
	requireEmpty(t, one)
	info, err := os.Stat(filepath.Dir(one))
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode(), "nobody else reads it")
	two, removeTwo, err := file.Temp("syft")
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	require.DirExists(t, one, "this process lives")
	removeOne()
	require.NoDirExists(t, one)
	require.DirExists(t, two)
	removeTwo()
	requireEmpty(t, os.TempDir())
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "absent"))
	_, _, err = file.Temp("syft")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A checkout, or what another program made, may have a name like ours: without a lock that is free nothing goes.
func TestWhatLooksLikeATemporaryFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "lock"), nil, 0o600))
	stay := []string{"mero-tee-run-1", "mero-tee-run-2", "mero-tee-run-3", "mero-tee-faults"}
	for _, name := range stay[1:] {
		require.NoError(t, os.Mkdir(filepath.Join(os.TempDir(), name), 0o755))
	}
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(os.TempDir(), stay[0])))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "lock"), filepath.Join(os.TempDir(), stay[1], "lock")))
	require.NoError(t, os.WriteFile(filepath.Join(os.TempDir(), "mero-tee-faults", "lock"), nil, 0o600))
	left := filepath.Join(os.TempDir(), "mero-tee-run-4")
	require.NoError(t, os.Mkdir(left, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(left, "lock"), nil, 0o600))

	_, remove, err := file.Temp("work")
	require.NoError(t, err)
	remove()
	require.NoDirExists(t, left)
	for _, name := range stay {
		_, err := os.Lstat(filepath.Join(os.TempDir(), name))
		require.NoError(t, err, name)
	}
	require.FileExists(t, filepath.Join(elsewhere, "lock"))
}

// The name of a folder is no pattern, though it may look like one: what was left in it would stay.
func TestATemporaryDirectoryNamedLikeAPattern(t *testing.T) {
	for _, name := range []string{"a[b]", "a[", "a*", `a\b`} {
		dir := filepath.Join(t.TempDir(), name)
		left := filepath.Join(dir, "mero-tee-run-1")
		require.NoError(t, os.MkdirAll(left, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(left, "lock"), nil, 0o600))
		t.Setenv("TMPDIR", dir)
		_, remove, err := file.Temp("work")
		require.NoError(t, err)
		remove()
		requireEmpty(t, dir)
	}
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}
