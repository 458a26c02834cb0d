package rehearsal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	w := &World{State: t.TempDir()}
	first, err := w.secret("below/seed")
	require.NoError(t, err)
	require.Len(t, first, 32)
	path := filepath.Join(w.State, "below", "seed")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	again, err := w.secret("below/seed")
	require.NoError(t, err)
	require.Equal(t, first, again)

	require.NoError(t, os.Chmod(path, 0o644))
	_, err = w.secret("below/seed")
	require.ErrorContains(t, err, "not usable", "others may read it")
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, make([]byte, 31), 0o600))
	_, err = w.secret("below/seed")
	require.ErrorContains(t, err, "not usable", "31 bytes")
}
