package checksum_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/checksum"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		damage func(t *testing.T, dir string)
		code   fault.Code
		want   []string
	}{
		"untouched": {func(*testing.T, string) {}, fault.Success, nil},
		"one byte changed": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "b"), []byte("B"), 0o644))
		}, fault.Verification, []string{"b differs from checksums.sha256"}},
		"file deleted": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a")))
		}, fault.MissingAsset, []string{"a is not there"}},
		"both, and all of it is reported": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o644))
			require.NoError(t, os.Remove(filepath.Join(dir, "c")))
		}, fault.MissingAsset, []string{"c is not there", "a differs"}},
		"replaced by a folder": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a")))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
		}, fault.General, []string{"not a regular file"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, "a", "b", "c")
			entries, err := checksum.Write(dir, []string{"a", "b", "c"})
			require.NoError(t, err)
			tc.damage(t, dir)
			err = checksum.Verify(dir, entries)
			require.Equal(t, tc.code, fault.CodeOf(err))
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestMatchSaysWhatItExpected(t *testing.T) {
	t.Parallel()
	want := checksum.Entry{Name: "a", Digest: [32]byte{1}}
	require.NoError(t, checksum.Match(want, want.Digest))
	var f *fault.Error
	require.ErrorAs(t, checksum.Match(want, [32]byte{2}), &f)
	require.Contains(t, f.Expected, "sha256:0100")
	require.Contains(t, f.Got, "sha256:0200")
}

func TestCovers(t *testing.T) {
	t.Parallel()
	entries := []checksum.Entry{{Name: "a"}, {Name: "b"}}
	require.NoError(t, checksum.Covers(entries, []string{"b", "a"}))

	err := checksum.Covers(entries, []string{"a", "c", "d"})
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.EqualError(t, err, "checksums.sha256 lists b, which no release has\n"+
		"checksums.sha256 does not list c\nchecksums.sha256 does not list d")
}
