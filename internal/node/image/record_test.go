package image_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

var update = flag.Bool("update", false, "rewrite golden files")

var contentID = strings.Repeat("0badcafe", 8)

// complete is a record of the profile that passes every check.
func complete(t testing.TB, p release.Profile) *image.Record {
	t.Helper()
	agent := digest.Of([]byte("agent"))
	r := &image.Record{SchemaVersion: "3", Profile: p,
		Version: release.Version{Major: 1, Minor: 2, Patch: 3, Candidate: 4},
		Commit:  strings.Repeat("01", 20), ContentID: contentID,
		Base: image.Base{Name: "ubuntu-2404-tdx-v20250101", Project: "confidential-vm-images"},
		Packages: []image.Package{{"base-files", "13ubuntu10", "amd64", "base-files", "13ubuntu10"},
			{"libc6", "2.39-0ubuntu8", "amd64", "glibc", "2.39-0ubuntu8"},
			{"libc6", "2.39-0ubuntu8", "i386", "glibc", "2.39-0ubuntu8"},
			{"libstdc++6", "1:14~rc+1-2+b1", "amd64", "gcc-14", "1:14~rc+1-2"}},
		Files: []image.File{{Path: "/etc/hostname", Mode: "0644", Owner: "0:0", SHA256: digest.Of([]byte("node\n"))},
			{Path: "/etc/mtab", Target: "../proc/self/mounts"},
			{Path: "/usr/lib/mero/mero-agent", Mode: "0755", Owner: "0:0", SHA256: agent}},
		Binaries: []image.Binary{{Name: "mero-agent", Version: "1.2.3-rc.4", SHA256: agent,
			Source: "ansible/roles/agent/files/mero-agent"}},
		Tools: image.Tools{Packer: "1.9.4", GoogleCompute: "1.2.5", AnsiblePlugin: "1.0.3", Ansible: "2.14.18"}}
	r.Content = digest.Of(r.Manifest())
	r.Boot = bootOf(t, disktest.Spec{Profile: string(p), Content: r.Content.Hex()})
	name, err := image.Name(p, r.Version, contentID)
	require.NoError(t, err)
	r.Image = image.Image{Name: name, Project: "p",
		SelfLink: "https://www.googleapis.com/compute/v1/projects/p/global/images/" + name}
	return r
}

// bootOf is what a disk boots.
func bootOf(t testing.TB, s disktest.Spec) measuredboot.Boot {
	t.Helper()
	made := disktest.Make(s)
	disk, err := measuredboot.Open(made.Reader(), int64(len(made)))
	require.NoError(t, err)
	return *disk.Boot()
}

// systemOf gives the record the boot of a disk of another system.
func systemOf(t testing.TB, r *image.Record, osRelease string) {
	t.Helper()
	r.Boot = bootOf(t, disktest.Spec{Profile: string(r.Profile), Content: r.Content.Hex(), OSRelease: []byte(osRelease)})
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, p := range release.Profiles() {
		data, err := complete(t, p).Encode()
		require.NoError(t, err)
		golden := filepath.Join("testdata", string(p)+".json")
		if *update {
			require.NoError(t, os.WriteFile(golden, data, 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), string(data))
		back, err := image.Decode(want)
		require.NoError(t, err)
		require.Equal(t, complete(t, p), back)
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(*image.Record)
		want  string
	}{
		"schema":            {func(r *image.Record) { r.SchemaVersion = "4" }, "schema_version"},
		"profile":           {func(r *image.Record) { r.Profile = "open" }, "profile \"open\" is unknown"},
		"version":           {func(r *image.Record) { r.Version = release.Version{} }, "the version is missing"},
		"commit":            {func(r *image.Record) { r.Commit = "main" }, "commit"},
		"content id":        {func(r *image.Record) { r.ContentID = strings.Repeat("1", 64) }, "is not called"},
		"no content id":     {func(r *image.Record) { r.ContentID = "" }, "is not called"},
		"image of another":  {func(r *image.Record) { r.Image.Name = "other" }, "image \"other\" is not called"},
		"self link":         {func(r *image.Record) { r.Image.Project = "q" }, "self link"},
		"base":              {func(r *image.Record) { r.Base.Name = "" }, "base image"},
		"no boot":           {func(r *image.Record) { r.Boot = measuredboot.Boot{} }, "what is said of its boot: "},
		"no event":          {func(r *image.Record) { r.Boot.RTMR2 = r.Boot.RTMR2[1:] }, "another number of events of RTMR2"},
		"an event's digest": {func(r *image.Record) { r.Boot.RTMR1[0].Digest[0] ^= 1 }, "another event 1 of RTMR1"},
		"a way in":          {func(r *image.Record) { r.Boot.CommandLine += " init=/bin/sh" }, "not known to be harmless"},
		"no root hash":      {func(r *image.Record) { r.Boot.RootHash = digest.Digest{} }, "the root hash is missing"},
		"other root hash":   {func(r *image.Record) { r.Boot.RootHash = digest.Of(nil) }, "roothash=[\""},
		"profile of another": {func(r *image.Record) {
			r.Boot = bootOf(t, disktest.Spec{Profile: "debug", Content: r.Content.Hex()})
		}, `mero.profile=["debug"], not once locked-read-only`},
		"content of another": {func(r *image.Record) {
			r.Boot = bootOf(t, disktest.Spec{Profile: string(r.Profile)})
		}, "mero.content=[\"0000"},
		"a serial console": {func(r *image.Record) {
			r.Boot = bootOf(t, disktest.Spec{Profile: string(r.Profile), Content: r.Content.Hex(),
				Words: []string{"console=ttyS0,115200"}})
		}, "locked-read-only has a serial console"},
		"a root that takes writes": {func(r *image.Record) {
			r.Boot = bootOf(t, disktest.Spec{Profile: string(r.Profile), Content: r.Content.Hex(),
				Words: []string{"systemd.volatile=overlay"}})
		}, "the root of locked-read-only takes writes"},
		"a root that goes on without a block": {func(r *image.Record) {
			r.Boot.CommandLine = strings.Replace(r.Boot.CommandLine, "systemd.verity_root_options=panic-on-corruption ", "", 1)
		}, "systemd.verity_root_options=[], not once panic-on-corruption"},
		"no packages":        {func(r *image.Record) { r.Packages = nil }, "no package is listed"},
		"package twice":      {func(r *image.Record) { r.Packages[1] = r.Packages[0] }, "listed twice"},
		"package incomplete": {func(r *image.Record) { r.Packages[0].Version = "" }, "incomplete"},
		"package with a space": {func(r *image.Record) { r.Packages[0].Version = "1 2" },
			`package "base-files" is incomplete`},
		"no source": {func(r *image.Record) { r.Packages[1].Source = "" }, `package "libc6" has no source`},
		"source in brackets": {func(r *image.Record) { r.Packages[1].Source = "glibc (2)" },
			`package "libc6" has no source`},
		"no source's version": {func(r *image.Record) { r.Packages[0].SourceVersion = "" },
			`package "base-files" has no source, or no version of it`},
		"another system": {func(r *image.Record) { r.Boot.OSRelease = "ID=debian\nVERSION_ID=12\n" },
			"another event 4 of RTMR2"},
		"no distribution": {func(r *image.Record) { systemOf(t, r, "VERSION_ID=12\n") },
			`the image's os-release has no ID that names a release: ""`},
		"a rolling distribution": {func(r *image.Record) { systemOf(t, r, "ID=debian\nVERSION_CODENAME=sid\n") },
			`the image's os-release has no VERSION_ID that names a release: ""`},
		"a distribution of two words": {func(r *image.Record) { systemOf(t, r, "ID='de bian'\nVERSION_ID=12\n") },
			`the image's os-release has no ID that names a release: "de bian"`},
		"a distribution in a path": {func(r *image.Record) { systemOf(t, r, "ID=debian/x\nVERSION_ID=12\n") },
			`the image's os-release has no ID that names a release: "debian/x"`},
		"a distribution of another kind": {func(r *image.Record) { systemOf(t, r, "ID=fedora\nVERSION_ID=41\n") },
			`the image's os-release names no distribution of Debian's kind: "fedora" like ""`},
		"a distribution that does not say its kind": {func(r *image.Record) {
			systemOf(t, r, "ID=ubuntu\nVERSION_ID=26.04\n")
		}, `the image's os-release names no distribution of Debian's kind: "ubuntu" like ""`},
		"a distribution that is like another": {func(r *image.Record) {
			systemOf(t, r, "ID=ubuntu\nID_LIKE=debianish\nVERSION_ID=26.04\n")
		}, `the image's os-release names no distribution of Debian's kind: "ubuntu" like "debianish"`},
		"no files":       {func(r *image.Record) { r.Files = nil }, "no file is listed"},
		"files unsorted": {func(r *image.Record) { r.Files[0], r.Files[1] = r.Files[1], r.Files[0] }, "out of order"},
		"relative path":  {func(r *image.Record) { r.Files[0].Path = "etc/hostname" }, "not absolute"},
		"a path with dots": {func(r *image.Record) { r.Files[0].Path = "/etc/../hostname" },
			`path "/etc/../hostname" is not absolute and clean`},
		"file without mode": {func(r *image.Record) { r.Files[0].Mode = "" }, "incomplete"},
		"link with digest":  {func(r *image.Record) { r.Files[1].SHA256 = digest.Of(nil) }, "incomplete"},
		"changed file":      {func(r *image.Record) { r.Files[0].SHA256 = digest.Of(nil) }, "do not give content"},
		"no binaries":       {func(r *image.Record) { r.Binaries = nil }, "no binary is listed"},
		"other binary":      {func(r *image.Record) { r.Binaries[0].SHA256 = digest.Of(nil) }, "not in /usr/lib/mero"},
		"binary source":     {func(r *image.Record) { r.Binaries[0].Source = "" }, "incomplete"},
		"tool":              {func(r *image.Record) { r.Tools.Ansible = "" }, "version of ansible is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := complete(t, release.LockedReadOnly)
			require.NoError(t, r.Check())
			tc.spoil(r)
			_, err := r.Encode()
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Got, tc.want)
		})
	}
}

// A record of another version is refused by that, and by what it lacks, not by its fields.
func TestRecordsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		`"1"`: "an image record of version 1, which does not say what RTMR1 must be",
		`"2"`: "an image record of version 2, which does not say of which distribution and sources its packages are",
		`"4"`: "an image record of a version that this program does not read",
		`3`:   "malformed",
	} {
		_, err := image.Decode([]byte(`{"schema_version": ` + version + `, "kernel_command_line": "quiet"}`))
		require.Equal(t, fault.Verification, fault.CodeOf(err))
		require.ErrorContains(t, err, want)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	t.Parallel()
	data, err := complete(t, release.Debug).Encode()
	require.NoError(t, err)
	for name, bad := range map[string]string{
		"empty": "", "trailing": string(data) + "{}", "compact": strings.ReplaceAll(string(data), "\n", ""),
		"unknown field": strings.Replace(string(data), "{", "{\n  \"more\": 1,", 1), "null lists": `{"schema_version": "1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := image.Decode([]byte(bad))
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, p := range release.Profiles() {
		data, err := complete(f, p).Encode()
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := image.Decode(data)
		if err != nil {
			return
		}
		again, err := r.Encode()
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
	})
}
