package gce_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// allocated is how many bytes of a file are no holes.
func allocated(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	return stat.Blocks * 512
}
