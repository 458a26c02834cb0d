package image_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

var update = flag.Bool("update", false, "rewrite golden files")

func digests(t testing.TB, built map[release.Profile]v1.Image) string {
	t.Helper()
	var b strings.Builder
	for _, p := range release.Profiles() {
		digest, err := built[p].Digest()
		require.NoError(t, err)
		fmt.Fprintf(&b, "%s  %s\n", digest, p)
	}
	return b.String()
}

// The digests below were made once and hold on every machine with the go.mod's
// toolchain, whose compress/gzip they depend on.
func TestDigestsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	got := digests(t, build(t))
	path := filepath.Join("testdata", "digests.txt")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// It changes the process itself, so it runs alone.
func TestIndependentOfTheMachine(t *testing.T) {
	want := digests(t, build(t))
	dockerfile, err := filepath.Abs(shipped)
	require.NoError(t, err)
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	t.Setenv("PROFILE", "debug")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	o := options(buildContext(t, 0o700, time.Unix(1, 0)))
	o.Dockerfile = dockerfile
	o.Epoch = epoch.In(time.FixedZone("x", 9*3600)).Add(time.Millisecond)
	t.Chdir(t.TempDir())
	got, err := image.Build(o)
	require.NoError(t, err)
	require.Equal(t, want, digests(t, got))
}

func TestEverythingThatGoesInChangesTheDigest(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	add := func(name string, o image.Options) {
		built, err := image.Build(o)
		require.NoError(t, err, name)
		got := digests(t, built)
		require.Empty(t, seen[got], "%s changed nothing", name)
		seen[got] = name
	}
	dir := buildContext(t, 0o755, epoch)
	add("nothing", options(dir))
	o := options(dir)
	o.Version.Patch = 1
	add("version", o)
	o = options(dir)
	o.Revision = strings.Repeat("f", 40)
	add("revision", o)
	o = options(dir)
	o.Source += "-fork"
	add("source", o)
	o = options(dir)
	o.Epoch = epoch.Add(time.Second)
	add("epoch", o)
	o = options(buildContext(t, 0o755, epoch))
	require.NoError(t, os.WriteFile(filepath.Join(o.Context, "mero-kms-linux-amd64"), []byte("other"), 0o600))
	add("binary", o)
}

func TestImage(t *testing.T) {
	t.Parallel()
	img := build(t)[release.DebugReadOnly]
	metadata := map[string]string{
		"org.opencontainers.image.version": "1.2.0", "org.opencontainers.image.revision": revision,
		"org.opencontainers.image.source": source, "org.opencontainers.image.created": "2026-11-23T12:00:00Z"}
	m, err := img.Manifest()
	require.NoError(t, err)
	require.Equal(t, types.OCIManifestSchema1, m.MediaType)
	require.Equal(t, types.OCIConfigJSON, m.Config.MediaType)
	require.Equal(t, types.OCILayer, m.Layers[0].MediaType)
	require.Equal(t, metadata, m.Annotations)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, []string{"linux", "amd64"}, []string{config.OS, config.Architecture})
	require.Equal(t, epoch, config.Created.Time)
	require.Len(t, config.History, 2)
	require.Equal(t, v1.Config{
		User: "65532:65532", Entrypoint: []string{"/mero-kms"}, WorkingDir: "/",
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "mero-kms",
			"org.opencontainers.image.description": "Key service that releases storage keys to attested nodes",
			"org.opencontainers.image.licenses":    "MIT OR Apache-2.0",
			"network.calimero.mero-kms.profile":    "debug-read-only",
			"org.opencontainers.image.version":     "1.2.0", "org.opencontainers.image.revision": revision,
			"org.opencontainers.image.source": source, "org.opencontainers.image.created": "2026-11-23T12:00:00Z",
		}}, config.Config)
}

// The binary's layer is compressed once for all three profiles, and stored once.
func TestProfilesShareTheBinary(t *testing.T) {
	t.Parallel()
	first := map[string]int{}
	for _, img := range build(t) {
		m, err := img.Manifest()
		require.NoError(t, err)
		first[m.Layers[0].Digest.String()]++
	}
	require.Len(t, first, 1)
}

func BenchmarkBuild(b *testing.B) {
	dir := buildContext(b, 0o755, epoch)
	// 20 MB that compresses about as well as a Go binary.
	var content strings.Builder
	for i := 0; content.Len() < 20<<20; i++ {
		fmt.Fprintf(&content, "%x\n", uint64(i)*0x9e3779b97f4a7c15)
	}
	require.NoError(b, os.WriteFile(filepath.Join(dir, "mero-kms-linux-amd64"), []byte(content.String()), 0o600))
	b.ReportAllocs()
	for b.Loop() {
		_, err := image.Build(options(dir))
		require.NoError(b, err)
	}
}
