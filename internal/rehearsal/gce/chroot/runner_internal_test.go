package chroot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
)

// A program that fails leaves nothing running of what it started: unshare did,
// when it could not set up what was asked for.
func TestNothingOutlivesAFailure(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "child")
	r := &runner{}
	err := r.run(t.Context(), "sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $! >"+name+"; exit 3")
	require.ErrorContains(t, err, "exit status 3")
	id, err := os.ReadFile(name)
	require.NoError(t, err)
	stat := "/proc/" + strings.TrimSpace(string(id)) + "/stat"
	require.Eventually(t, func() bool { // until somebody has collected it, it is there as a zombie
		text, err := os.ReadFile(stat)
		return err != nil || strings.Contains(string(text), ") Z ")
	}, hang.Limit(t), 10*time.Millisecond)
}
