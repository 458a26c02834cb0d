package sbom_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
)

// built is the real syft and the image's binary.
type built struct{ syft, binary string }

var folder string // for what all tests share

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "sbom-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

var buildOnce = sync.OnceValues(func() (b built, err error) {
	ctx := context.Background()
	b.binary = filepath.Join(folder, "mero-kms")
	if err := buildProgram(ctx, b.binary); err != nil {
		return b, err
	}
	b.syft, err = gobuild.Build(ctx, sbom.Program(filepath.Join("..", "..", "..")),
		func(s string) { fmt.Fprintln(os.Stderr, s) })
	return b, err
})

func build(t testing.TB) built {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles and runs syft")
	}
	b, err := buildOnce()
	require.NoError(t, err)
	return b
}

func (b built) options(layout string) sbom.Options {
	return sbom.Options{Syft: b.syft, Sources: []sbom.Source{sbom.Image(layout, "debug")}, Name: "mero-kms",
		Version: "1.2.0", Repository: "calimero-network/mero-tee",
		Epoch: time.Date(2026, 11, 23, 12, 0, 0, 0, time.FixedZone("somewhere", 3600))}
}

func generate(t testing.TB, o sbom.Options) []byte {
	t.Helper()
	data, err := sbom.Generate(t.Context(), o)
	require.NoError(t, err)
	return data
}

func TestGenerateDescribesTheImage(t *testing.T) {
	t.Parallel()
	b := build(t)
	data := generate(t, b.options(writeLayout(t, b.binary, "amd64")))
	require.NoError(t, sbom.Check(data, b.binary))

	var doc spdx.Document
	require.NoError(t, spdxjson.ReadInto(bytes.NewReader(data), &doc), "SPDX tools load it")
	require.Equal(t, "2026-11-23T11:00:00Z", doc.CreationInfo.Created)
	require.Regexp(t, `^https://github\.com/calimero-network/mero-tee/spdx/`+
		`mero-kms-1\.2\.0-[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, doc.DocumentNamespace)
	versions := map[string][]string{}
	for _, p := range doc.Packages {
		versions[p.PackageName] = append(versions[p.PackageName], p.PackageVersion)
	}
	require.Equal(t, []string{"1.2.0"}, versions["mero-kms"], "the root")
	require.Equal(t, []string{"1.2.0"}, versions["github.com/calimero-network/mero-tee"], "the binary's own module")
	require.Equal(t, []common.Creator{{CreatorType: "Organization", Creator: "calimero-network"},
		{CreatorType: "Tool", Creator: "syft-" + sbom.SyftVersion}}, doc.CreationInfo.Creators)
	require.Equal(t, []string{runtime.Version()}, versions["stdlib"])
	require.Len(t, versions["golang.org/x/sync"], 1)
}

// The runs differ in what must not matter: where the image lies.
func TestGenerateIsDeterministic(t *testing.T) {
	t.Parallel()
	b := build(t)
	layout := writeLayout(t, b.binary, "amd64")
	first := generate(t, b.options(layout))
	require.Equal(t, string(first), string(generate(t, b.options(writeLayout(t, b.binary, "amd64")))), "another folder")

	later := b.options(layout)
	later.Epoch = later.Epoch.Add(time.Second)
	require.NotEqual(t, string(first), string(generate(t, later)))
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	b := build(t)
	layout := writeLayout(t, b.binary, "amd64")
	riscv := writeLayout(t, b.binary, "riscv64")
	image := func(layout string) []sbom.Source { return []sbom.Source{sbom.Image(layout, "debug")} }
	for name, tc := range map[string]struct {
		change func(*sbom.Options)
		code   fault.Code
		want   string
	}{
		"no syft":    {func(o *sbom.Options) { o.Syft = "" }, fault.Usage, "SBOM without syft"},
		"no name":    {func(o *sbom.Options) { o.Name = "" }, fault.Usage, "SBOM without name"},
		"no version": {func(o *sbom.Options) { o.Version = "" }, fault.Usage, "SBOM without version"},
		"no owner":   {func(o *sbom.Options) { o.Repository = "/mero-tee" }, fault.Usage, "SBOM without repository"},
		"no epoch":   {func(o *sbom.Options) { o.Epoch = time.Time{} }, fault.Usage, "SBOM without epoch"},
		"no image":   {func(o *sbom.Options) { o.Sources = nil }, fault.Usage, "SBOM of nothing"},
		"an image twice": {func(o *sbom.Options) { o.Sources = append(image(layout), image(layout)...) }, fault.Usage,
			"one thing twice"},
		"absent layout": {func(o *sbom.Options) { o.Sources = image(layout + "/absent") }, fault.Usage,
			"no image to describe"},
		"no layout in it": {func(o *sbom.Options) { o.Sources = image(layout + "/blobs") }, fault.General,
			"cannot describe"},
		"another platform": {func(o *sbom.Options) { o.Sources = image(riscv) }, fault.General,
			"cannot describe debug"},
		"syft is no syft":   {func(o *sbom.Options) { o.Syft = "/bin/false" }, fault.General, "cannot describe"},
		"syft says nothing": {func(o *sbom.Options) { o.Syft = "/bin/true" }, fault.General, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := b.options(layout)
			tc.change(&o)
			_, err := sbom.Generate(t.Context(), o)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.code, fault.CodeOf(err))
		})
	}
}

func TestGenerateStopsWithItsContext(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "syft") // hangs until it is killed
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexec "+sleep+" 600\n"), 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = sbom.Generate(ctx, built{syft: program}.options(t.TempDir()))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// One Generate of the release's image is one syft process; the budget is 3 s for
// a binary of 15 MB.
func BenchmarkGenerate(b *testing.B) {
	shared := build(b)
	large := filepath.Join(b.TempDir(), "large")
	require.NoError(b, pad(large, shared.binary, 15<<20))
	o := shared.options(writeLayout(b, large, "amd64"))
	for b.Loop() {
		generate(b, o)
	}
}

// tree is a folder as one profile's record gives it: a package database and a program.
func tree(t testing.TB, binary string, packages ...string) string {
	t.Helper()
	dir := t.TempDir()
	var status strings.Builder
	for _, p := range packages {
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nSource: from-%s (1.0)\nVersion: 1:1.0+b-1\n"+
			"Architecture: amd64\nDescription: %s\n\n", p, p, p)
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "var/lib/dpkg"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "var/lib/dpkg/status"), []byte(status.String()), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "usr/lib/mero"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "usr/lib/os-release"),
		[]byte("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"26.04\"\n"), 0o600))
	data, err := os.ReadFile(binary)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "usr/lib/mero/mero-agent"), data, 0o700))
	return dir
}

func TestFolders(t *testing.T) {
	t.Parallel()
	b := build(t)
	binary := b.binary
	o := b.options("")
	of := func(name string) sbom.Package {
		return sbom.Package{Name: name, Version: "1:1.0+b-1", Supplier: "Ubuntu", URL: "pkg:deb/ubuntu/" + name +
			"@1%3A1.0%2Bb-1?arch=amd64&distro=ubuntu-26.04&upstream=from-" + name + "%401.0"}
	}
	curl, zlib := of("curl"), of("zlib1g")
	exporter := sbom.Package{Name: "node_exporter", Version: "1.8.2", Supplier: "prometheus",
		SHA256: digest.Of([]byte("e")),
		URL:    "pkg:generic/node_exporter@1.8.2?download_url=https%3A%2F%2Fexample.org%2Fe", From: "https://example.org/e"}
	o.Sources = []sbom.Source{
		sbom.Folder(tree(t, binary, "curl", "zlib1g"), "debug", [32]byte{1}, []sbom.Package{curl, zlib, exporter}),
		sbom.Folder(tree(t, binary, "zlib1g"), "locked-read-only", [32]byte{2}, []sbom.Package{zlib}),
	}
	data := generate(t, o)
	require.NoError(t, sbom.Check(data, binary))
	listed, err := sbom.Read(data)
	require.NoError(t, err)
	newer := curl
	newer.Version = "2.0-1"
	require.NoError(t, listed.Check([32]byte{1}, []sbom.Package{curl, zlib, exporter}))
	require.NoError(t, listed.Check([32]byte{2}, []sbom.Package{zlib}))
	for name, err := range map[string]error{
		"a package of another profile": listed.Check([32]byte{2}, []sbom.Package{curl, zlib}),
		"another version":              listed.Check([32]byte{1}, []sbom.Package{newer, zlib, exporter}),
		"a program that is not known":  listed.Check([32]byte{1}, []sbom.Package{curl, zlib}),
		"another image":                listed.Check([32]byte{3}, []sbom.Package{curl}),
	} {
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
	}
	again := o
	again.Sources = []sbom.Source{
		sbom.Folder(tree(t, binary, "zlib1g"), "locked-read-only", [32]byte{2}, []sbom.Package{zlib}),
		sbom.Folder(tree(t, binary, "curl", "zlib1g"), "debug", [32]byte{1}, []sbom.Package{exporter, zlib, curl}),
	}
	require.Equal(t, string(data), string(generate(t, again)), "other folders, in another order")
}

// Our command over syft's library reads no packages of RPM: it refuses what has some, and leaves nothing out.
func TestPackagesOfRPMAreRefused(t *testing.T) {
	t.Parallel()
	b := build(t)
	for _, name := range []string{"var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db",
		"var/lib/rpmmanifest/container-manifest-2"} {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
		o := b.options(dir)
		o.Sources = []sbom.Source{sbom.Folder(dir, "debug", [32]byte{1}, nil)}
		_, err := sbom.Generate(t.Context(), o)
		require.ErrorContains(t, err, "cannot describe debug")
		var f *fault.Error
		require.ErrorAs(t, err, &f)
		require.Contains(t, f.Got, name+": this syft reads no packages of RPM")
	}
}
