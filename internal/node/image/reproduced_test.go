package image_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// What is not in an image does not make it another one; each kind of what is in it is named.
func TestReproduced(t *testing.T) {
	t.Parallel()
	rebooted := func(r *image.Record, s disktest.Spec) {
		r.Content = digest.Of(r.Manifest())
		s.Profile, s.Content = string(r.Profile), r.Content.Hex()
		r.Boot = bootOf(t, s)
	}
	for name, tc := range map[string]struct {
		change func(*image.Record)
		want   []string // each in a line of its own; none: the image is the same
	}{
		"the same bytes by other tools, of another name": {func(r *image.Record) {
			r.Tools.Packer, r.Image.Name, r.ContentID, r.Commit = "1.9.5", "another", strings.Repeat("0", 64), ""
			r.Image.SelfLink, r.Base.Name = "elsewhere", "another base of the same files"
		}, nil},
		"the same program from elsewhere": {func(r *image.Record) {
			r.Binaries = slices.Clone(r.Binaries)
			r.Binaries[0].Version, r.Binaries[0].Source = "9.9.9", "https://example.org/evil"
		}, []string{"origin of a binary mero-agent: 9.9.9 of https://example.org/evil, was 1.2.3-rc.4 of "}},
		"another version of a package": {func(r *image.Record) {
			r.Packages = slices.Clone(r.Packages)
			r.Packages[1].Version = "2.39-0ubuntu9"
			rebooted(r, disktest.Spec{})
		}, []string{"package libc6:amd64: 2.39-0ubuntu9, was 2.39-0ubuntu8 (in the root, by its hash: RTMR1 and RTMR2)",
			"UKI BOOTX64.EFI: ", "kernel parameter mero.content: ", "event "}},
		"another file": {func(r *image.Record) {
			r.Files = slices.Clone(r.Files)
			r.Files[0].SHA256 = digest.Of([]byte("knot\n"))
			rebooted(r, disktest.Spec{})
		}, []string{"file /etc/hostname: 0644 0:0 sha256:"}},
		"a file too many": {func(r *image.Record) {
			r.Files = append(slices.Clone(r.Files), image.File{Path: "/zz", Target: "x"})
			rebooted(r, disktest.Spec{})
		}, []string{"file /zz is new: -> x"}},
		"another kernel": {func(r *image.Record) { rebooted(r, disktest.Spec{Kernel: []byte("another")}) },
			[]string{"kernel .linux: sha256:", "UKI BOOTX64.EFI: "}},
		"another root of the same lists": {func(r *image.Record) {
			rebooted(r, disktest.Spec{Root: []byte(strings.Repeat("another root", 4096))})
		}, []string{"root hash root: sha256:",
			"root what no list names: another file of a package, or another time"}},
		"another partition table": {func(r *image.Record) { r.Boot.GPT = []byte("another") },
			[]string{"partition table GPT: sha256:"}},
		"an event alone": {func(r *image.Record) {
			r.Boot.RTMR1 = slices.Clone(r.Boot.RTMR1)
			r.Boot.RTMR1[1].Digest = tdx.Register{1}
		}, []string{"event 2 of RTMR1: "}},
		"an event less": {func(r *image.Record) { r.Boot.RTMR2 = r.Boot.RTMR2[:1] },
			[]string{"event 2 of RTMR2 is gone, was "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := complete(t, release.Debug)
			tc.change(again)
			var lines []string
			for _, c := range image.Reproduced(complete(t, release.Debug), again) {
				lines = append(lines, c.String())
			}
			require.Equal(t, tc.want == nil, lines == nil, "%q", lines)
			for _, want := range tc.want {
				require.True(t, slices.ContainsFunc(lines, func(s string) bool { return strings.HasPrefix(s, want) }),
					"%q in %q", want, lines)
			}
		})
	}
}
