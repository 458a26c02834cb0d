package process_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/process"
)

// gone is the id of a process that has ended.
func gone(t *testing.T) int {
	t.Helper()
	own, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), own, "-test.run=^$")
	require.NoError(t, cmd.Run())
	return cmd.Process.Pid
}

func folder(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Join(path, "file"), 0o755))
	return path
}

func TestFolderRemovesWhatAKillLeft(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		folder  string
		removed bool
	}{
		"a process that is gone":      {fmt.Sprintf("run-%d-1", gone(t)), true},
		"this process":                {fmt.Sprintf("run-%d-1", os.Getpid()), false},
		"a process of somebody else":  {"run-1-1", false}, // without root it may not be signalled
		"no process id":               {"run-x-1", true},
		"the id of a process group":   {"run-0-1", true},
		"a folder of another purpose": {"roots", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state[1]") // no pattern
			old := folder(t, dir, tc.folder)
			run, err := process.Folder(dir, os.RemoveAll)
			require.NoError(t, err)
			require.DirExists(t, run)
			if tc.removed {
				require.NoDirExists(t, old)
				return
			}
			require.DirExists(t, old)
		})
	}
}

func TestFolderIsOfThisProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	run, err := process.Folder(dir, os.RemoveAll)
	require.NoError(t, err)
	require.Equal(t, dir, filepath.Dir(run))
	require.Contains(t, filepath.Base(run), fmt.Sprintf("run-%d-", os.Getpid()))
	info, err := os.Stat(run)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o755, info.Mode())
	again, err := process.Folder(dir, os.RemoveAll)
	require.NoError(t, err)
	require.NotEqual(t, run, again)
	require.DirExists(t, run)
}

// Who removes is told which folder, and when that fails nothing is made.
func TestFolderAsksToRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := folder(t, dir, fmt.Sprintf("run-%d-1", gone(t)))
	refused := errors.New("refused")
	_, err := process.Folder(dir, func(asked string) error {
		require.Equal(t, old, asked)
		return refused
	})
	require.ErrorIs(t, err, refused)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}
