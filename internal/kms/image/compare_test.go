package image_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// What a rebuilt image differs in is named by layer, file and field, or by the bytes of its content.
func TestDifferences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const p, layer = release.Debug, "layer 1: mero-kms: "
	released := w.push(t.Context(), t, build(t)[p], p)
	for name, tc := range map[string]struct {
		change func(*image.Options, string) // of the options, and of the path of the binary
		want   []string
		not    string
	}{
		"the same": {func(*image.Options, string) {}, nil, ""},
		"a byte of the binary": {func(_ *image.Options, binary string) {
			content := []byte(strings.Repeat("binary for amd64\n", 1000))
			content[9000] ^= 1
			require.NoError(t, os.WriteFile(binary, content, 0o600))
		}, []string{layer + "the content differs within bytes 8192 to 12287", "configuration.rootfs.diff_ids: "}, "layer 2"},
		"a longer binary": {func(_ *image.Options, binary string) {
			require.NoError(t, os.WriteFile(binary, []byte(strings.Repeat("binary for amd64\n", 1001)), 0o600))
		}, []string{layer + "size 17000 was released, 17017 is built now", "bytes 16384 to 20479"}, "layer 2"},
		"another time": {func(o *image.Options, _ string) { o.Epoch = epoch.Add(time.Hour) },
			[]string{layer + "time 2026-11-23T12:00:00Z was released, 2026-11-23T13:00:00Z is built now", "layer 2: ",
				`configuration.created: "2026-11-23T12:00:00Z" was released`}, "content differs"},
		"another commit": {func(o *image.Options, _ string) { o.Revision = strings.Repeat("f", 40) },
			[]string{"configuration.config.Labels." + image.RevisionLabel + `: "` + revision + `" was released`}, "layer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(buildContext(t, 0o755, epoch))
			tc.change(&o, filepath.Join(o.Context, image.Binary))
			again, err := image.Build(o)
			require.NoError(t, err)
			got, err := image.Differences(t.Context(), released, again[p], w.remote)
			require.NoError(t, err)
			if tc.want == nil {
				require.Empty(t, got)
				return
			}
			said := strings.Join(got, "\n")
			for _, line := range append(tc.want, "manifest: "+released.DigestStr()+" was released") {
				require.Contains(t, said, line)
			}
			if tc.not != "" {
				require.NotContains(t, said, tc.not)
			}
		})
	}
	t.Run("another profile", func(t *testing.T) {
		t.Parallel()
		got, err := image.Differences(t.Context(), released, build(t)[release.LockedReadOnly], w.remote)
		require.NoError(t, err)
		require.Contains(t, strings.Join(got, "\n"), "layer 2: etc/mero-kms/image-profile: size 6 was released")
	})
	t.Run("an image that is not there", func(t *testing.T) {
		t.Parallel()
		gone := released.Context().Digest("sha256:" + strings.Repeat("0", 64))
		_, err := image.Differences(t.Context(), gone, build(t)[p], w.remote)
		require.ErrorContains(t, err, "read ")
	})
}
