package file_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

func TestWriteReplaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "file")
	require.NoError(t, file.Write(path, []byte("one"), 0o600))
	require.NoError(t, file.Write(path, []byte("two"), 0o644))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "two", string(b))
	fi, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), fi.Mode().Perm())
}

func TestFailedStreamLeavesTheOldBytesAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, file.Write(path, []byte("old"), 0o600))
	boom := errors.New("boom")
	err := file.Stream(path, 0o600, func(w io.Writer) error {
		_, _ = w.Write([]byte("half"))
		return boom
	})
	require.ErrorIs(t, err, boom)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(b))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestCopyReplacesBytesAndMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "deep", "to")
	require.NoError(t, file.Write(from, []byte("program"), 0o600))
	require.NoError(t, file.Write(to, []byte("another"), 0o600))
	require.NoError(t, file.Copy(to, from, 0o755))
	b, err := os.ReadFile(to)
	require.NoError(t, err)
	require.Equal(t, "program", string(b))
	fi, err := os.Stat(to)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), fi.Mode().Perm())
	require.ErrorIs(t, file.Copy(to, filepath.Join(dir, "absent"), 0o755), os.ErrNotExist)
}

func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, file.Write(path, []byte("12345"), 0o600))
	b, err := file.Read(path, 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(b))
	_, err = file.Read(path, 4)
	require.ErrorIs(t, err, file.ErrTooLarge)
	require.ErrorContains(t, err, "more than 4 bytes")
	_, err = file.Read(path+"x", 4)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Whoever would wait for a pipe's writer would wait for ever.
func TestReadTakesRegularFilesOnly(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, path := range []string{pipe, filepath.Dir(pipe), "/dev/zero"} {
		_, err := file.Read(path, 5)
		require.ErrorContains(t, err, path+" is not a regular file")
	}
}

// What a kill left in the middle of a file goes; what merely looks like it stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var left string
	require.ErrorIs(t, file.Stream(filepath.Join(dir, "assets", "sbom.json"), 0o600, func(w io.Writer) error {
		left = w.(*os.File).Name()
		return os.Link(left, left+"x") // as if the process had ended here
	}), nil)
	require.NoError(t, os.Rename(left+"x", left))
	kept := []string{".tmp", ".a.tmp", "a.1.tmp", ".a.b.tmp", ".a.1.tmp.txt"}
	for _, name := range kept {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".folder.1.tmp"), 0o755))
	require.NoError(t, file.Sweep(dir))
	require.NoFileExists(t, left)
	for _, name := range append(kept, "assets/sbom.json", ".folder.1.tmp") {
		_, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err, name)
	}
	require.ErrorIs(t, file.Sweep(filepath.Join(dir, "absent")), os.ErrNotExist)
}
