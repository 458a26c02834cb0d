package chroot

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// What was not stored whole, because its command ended, is never taken for a disk.
func TestTheCacheStoresWholeDisks(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk")
	u := &diskCache{runner: &runner{}, dir: filepath.Join(t.TempDir(), "unpacked")}
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(disk, frozen)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(disk, frozen), nil, 0o600))
	for i := range 5000 {
		require.NoError(t, os.WriteFile(filepath.Join(disk, strconv.Itoa(i)), nil, 0o600))
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends the copy as soon as it has begun
		defer cancel()
		for ctx.Err() == nil {
			if begun, _ := filepath.Glob(filepath.Join(u.dir, "*", "*")); len(begun) > 0 {
				return
			}
			runtime.Gosched()
		}
	}()
	require.ErrorIs(t, u.store(ctx, "key", disk), context.Canceled)
	there, err := u.find(t.Context(), "key", filepath.Join(t.TempDir(), "copy"))
	require.NoError(t, err)
	require.False(t, there)

	require.NoError(t, u.store(t.Context(), "key", disk), "what the first left does not stand in the way")
	to := filepath.Join(t.TempDir(), "copy")
	there, err = u.find(t.Context(), "key", to)
	require.NoError(t, err)
	require.True(t, there)
	files, err := os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, files, 5001)
}
