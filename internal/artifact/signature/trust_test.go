package signature_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func TestTrustedRootFromAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "damaged"), []byte("{"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "huge"), bytes.Repeat([]byte(" "), 2<<20), 0o600))
	for _, name := range []string{"absent", "damaged", "huge"} {
		tm, err := signature.TrustedRoot(filepath.Join(dir, name))
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		require.Nil(t, tm, name)
	}
}
