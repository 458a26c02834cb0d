package releasetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Stages of other sources go once nobody has used them for a while; their own stay, however old.
func TestForgetOthers(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	for name, age := range map[string]time.Duration{"own": 3 * idle, "used": idle / 2, "forgotten": 2 * idle} {
		dir := filepath.Join(cache, name)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "after kms-build"), 0o755))
		used := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(dir, used, used))
	}
	s := &Stages{dir: filepath.Join(cache, "own")}
	require.NoError(t, s.forgetOthers())
	require.DirExists(t, filepath.Join(cache, "own"))
	require.DirExists(t, filepath.Join(cache, "used"))
	require.NoDirExists(t, filepath.Join(cache, "forgotten"))
}
