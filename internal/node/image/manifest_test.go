package image_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestManifestRoundTrip(t *testing.T) {
	t.Parallel()
	r := complete(t, release.Debug)
	packages, files, err := image.ParseManifest(r.Manifest())
	require.NoError(t, err)
	require.Equal(t, r.Packages, packages)
	require.Equal(t, r.Files, files)
}

func TestParseManifestRefuses(t *testing.T) {
	t.Parallel()
	const file = "file\t/etc/hostname\t0644\t0:0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	_, _, err := image.ParseManifest([]byte(file))
	require.NoError(t, err)
	for name, bad := range map[string]string{
		"unsorted": "package\ta\t1\tall\ta\t1\n" + file, "no newline": file[:len(file)-1],
		"short digest": file[:len(file)-9] + "\n",
		"unknown kind": "device\t/dev/null\n", "empty target": "link\t/etc/mtab\t\n", "empty line": "\n" + file,
		"fields": "package\ta\t1\tall\ta\t1\tmore\n", "no source": "package\ta\t1\tall\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := image.ParseManifest([]byte(bad))
			require.Error(t, err)
		})
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte("link\t/etc/mtab\t../proc/self/mounts\npackage\ta\t1\tall\tb\t1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		packages, files, err := image.ParseManifest(data)
		if err != nil {
			return
		}
		r := image.Record{Packages: packages, Files: files}
		require.Equal(t, string(data), string(r.Manifest()))
	})
}

func TestDiffNamesWhatMoved(t *testing.T) {
	t.Parallel()
	from, to := complete(t, release.DebugReadOnly), complete(t, release.DebugReadOnly)
	require.Empty(t, image.Diff(from, to))
	to.Base.Name = "ubuntu-2404-tdx-v20250201"
	to.Boot = bootOf(t, disktest.Spec{Profile: "debug-read-only", Content: to.Content.Hex(), Kernel: []byte("another"),
		Initrd: []byte("another"), Root: []byte("another"), Words: []string{"loglevel=0"},
		OSRelease: []byte("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=26.10\n")})
	to.Packages[0].Version, to.Packages[0].SourceVersion = "14", "14"
	to.Packages[1].Source = "musl"
	to.Packages = append(to.Packages, image.Package{Name: "new", Version: "1", Architecture: "all", Source: "newer",
		SourceVersion: "1"})
	to.Binaries[0].Version = "1.2.3"
	to.Files = to.Files[:1]
	to.Files[0].Mode = "0600"
	to.Tools.Ansible = "2.16"
	type moved struct{ kind, name string }
	var got []moved
	for _, c := range image.Diff(from, to) {
		got = append(got, moved{c.Kind, c.Name})
		require.NotEqual(t, c.Old, c.New)
		require.Equal(t, c.Kind != "base image" && c.Kind != "tool", strings.Contains(c.Reaches(), "RTMR"), c.Kind)
	}
	require.Equal(t, []moved{{"base image", "image"}, {"UKI", "BOOTX64.EFI"}, {"kernel", ".linux"}, {"initrd", ".initrd"},
		{"kernel parameter", "loglevel"}, {"kernel parameter", "roothash"}, {"os-release", "VERSION_ID"},
		{"root hash", "root"},
		{"package", "base-files:amd64"}, {"package", "new:all"}, {"source", "libc6:amd64"},
		{"source", "new:all"},
		{"binary", "mero-agent"}, {"file", "/etc/hostname"}, {"file", "/etc/mtab"}, {"file", "/usr/lib/mero/mero-agent"},
		{"tool", "ansible"}}, got)
	require.Empty(t, image.Diff(nil, nil))
	require.NotEmpty(t, image.Diff(nil, from))
	require.Equal(t, len(image.Diff(nil, from)), len(image.Diff(from, nil)))
}

// A word without a value is there, or not.
func TestDiffNamesWhatHasNoValue(t *testing.T) {
	t.Parallel()
	from, to := complete(t, release.Debug), complete(t, release.Debug)
	to.Boot = bootOf(t, disktest.Spec{Profile: "debug", Content: to.Content.Hex(), Words: []string{"quiet"},
		OSRelease: []byte(from.Boot.OSRelease + "VARIANT=\"\"\n")})
	var got []string
	for _, c := range image.Diff(from, to) {
		if c.Kind == "kernel parameter" || c.Kind == "os-release" {
			got = append(got, c.String())
		}
	}
	require.Equal(t, []string{"kernel parameter quiet is new: without a value (in the UKI: RTMR1 and RTMR2)",
		"os-release VARIANT is new: without a value (in the UKI: RTMR1 and RTMR2)"}, got)
	require.Contains(t, image.Diff(to, from),
		image.Change{Kind: "kernel parameter", Name: "quiet", Old: "without a value"})
}

func TestImageName(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]release.Version{
		"mero-tee-locked-read-only-1-2-3-rc-4-0badcafe": {Major: 1, Minor: 2, Patch: 3, Candidate: 4},
		"mero-tee-locked-read-only-10-0-0-0badcafe":     {Major: 10},
	} {
		got, err := image.Name(release.LockedReadOnly, v, contentID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.LessOrEqual(t, len(got), 63)
	}
	_, err := image.Name(release.LockedReadOnly,
		release.Version{Major: 999999, Minor: 999999, Patch: 999999, Candidate: 999999}, contentID)
	require.ErrorContains(t, err, "image's name")
	_, err = image.Name(release.Debug, release.Version{Major: 1}, "sha256:"+contentID)
	require.ErrorContains(t, err, "content id")
	require.Equal(t, map[string]string{"owner": "mero-tee", "profile": "debug", "version": "1-0-0", "content": "0badcafe"},
		image.Labels(release.Debug, release.Version{Major: 1}, contentID))
}
