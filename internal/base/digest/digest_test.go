package digest_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

func TestParse(t *testing.T) {
	t.Parallel()
	d := digest.Of([]byte("x"))
	back, err := digest.Parse(d.String())
	require.NoError(t, err)
	require.Equal(t, d, back)
	for _, s := range []string{"", "sha256:", d.Hex(), "SHA256:" + d.Hex(),
		strings.ToUpper(d.String()), d.String() + "0", "sha256:" + strings.Repeat("g", 64)} {
		_, err := digest.Parse(s)
		require.Error(t, err, s)
	}
}

func TestOfFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "large")
	content := []byte(strings.Repeat("0123456789abcdef", 1<<16))
	require.NoError(t, os.WriteFile(path, content, 0o644))
	got, size, err := digest.OfFile(path)
	require.NoError(t, err)
	require.Equal(t, digest.Digest(sha256.Sum256(content)), got)
	require.EqualValues(t, len(content), size)

	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(path, link))
	for _, irregular := range []string{dir, link} {
		_, _, err = digest.OfFile(irregular)
		require.ErrorContains(t, err, "not a regular file")
	}
	_, _, err = digest.OfFile(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
