package checksum_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/checksum"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// folder makes files whose contents are their names.
func folder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
	}
	return dir
}

func TestWriteIsSortedAndRoundTrips(t *testing.T) {
	t.Parallel()
	dir := folder(t, "b.json", "a.txt", "C.bin", "not listed")
	written, err := checksum.Write(dir, []string{"b.json", "a.txt", "C.bin"})
	require.NoError(t, err)

	data, err := os.ReadFile(filepath.Join(dir, release.ChecksumsAsset))
	require.NoError(t, err)
	require.Equal(t, "77a97d259cf0fc9ab479616d5faec60351cabc6a2b22cb0c4203ac2abc2ee3d7  C.bin\n"+
		"18b7cb099a9ea3f50ba899b5ba81e0d377a5f3b16f8f6eeb8b3e58cd4692b993  a.txt\n"+
		"32af381d17562c8204bd7b8320cea69bbd2d90cde4ebabc9f1387bc5f8a57976  b.json\n", string(data))

	parsed, err := checksum.Parse(data)
	require.NoError(t, err)
	require.Equal(t, written, parsed)
}

func TestSha256sumAcceptsTheFile(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("sha256sum of GNU coreutils is not installed")
	}
	dir := folder(t, release.KMS.Assets()...)
	_, err = checksum.Write(dir, release.KMS.Assets())
	require.NoError(t, err)
	check := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), tool, "--strict", "--check", release.ChecksumsAsset)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := check()
	require.NoError(t, err, out)
	require.Equal(t, len(release.KMS.Assets()), strings.Count(out, ": OK\n"))

	require.NoError(t, os.WriteFile(filepath.Join(dir, release.SBOMAsset), []byte("changed"), 0o644))
	out, err = check()
	require.Error(t, err)
	require.Contains(t, out, release.SBOMAsset+": FAILED")
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		names []string
		code  fault.Code
		want  string
	}{
		"absent":         {[]string{"a", "b"}, fault.MissingAsset, "b is not there"},
		"twice":          {[]string{"a", "a"}, fault.Usage, "listed twice"},
		"itself":         {[]string{"a", release.ChecksumsAsset}, fault.Usage, "cannot list itself"},
		"path separator": {[]string{"../a"}, fault.Usage, "not a plain file name"},
		"newline":        {[]string{"a\nb"}, fault.Usage, "not a plain file name"},
		"empty":          {[]string{""}, fault.Usage, "not a plain file name"},
		"leading dash":   {[]string{"-a"}, fault.Usage, "not a plain file name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, "a")
			_, err := checksum.Write(dir, tc.names)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.code, fault.CodeOf(err))
			require.NoFileExists(t, filepath.Join(dir, release.ChecksumsAsset))
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	dir, names := b.TempDir(), release.KMS.Assets()
	for _, name := range names {
		require.NoError(b, os.WriteFile(filepath.Join(dir, name), make([]byte, 1<<20), 0o644))
	}
	b.SetBytes(int64(len(names)) << 20)
	for b.Loop() {
		_, err := checksum.Write(dir, names)
		require.NoError(b, err)
	}
}
