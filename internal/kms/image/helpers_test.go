package image_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/rehearsal/registry"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	token    = "test-token"
	revision = "0123456789abcdef0123456789abcdef01234567"
	source   = "https://github.com/calimero-network/mero-tee"
)

var (
	version = release.Version{Major: 1, Minor: 2}
	epoch   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	shipped = filepath.Join("..", "..", "..", "docker", "mero-kms", "Dockerfile")
)

// buildContext is a folder as Compile and PinProfiles leave it, with a small
// binary, in the given mode and of the given age.
func buildContext(t testing.TB, mode os.FileMode, mtime time.Time) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, image.PinProfiles(dir))
	path := filepath.Join(dir, "mero-kms-linux-amd64")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("binary for amd64\n", 1000)), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	require.NoError(t, os.Chtimes(path, mtime, mtime))
	return dir
}

func options(dir string) image.Options {
	return image.Options{Dockerfile: shipped, Context: dir, Version: version, Revision: revision, Source: source,
		Epoch: epoch}
}

func build(t testing.TB) map[release.Profile]v1.Image {
	t.Helper()
	out, err := image.Build(options(buildContext(t, 0o755, epoch)))
	require.NoError(t, err)
	return out
}

func expected(p release.Profile) image.Expected {
	return image.Expected{Profile: p, Version: version, Revision: revision, Source: source}
}

// world is a registry on loopback and a remote that may push to it.
type world struct {
	registry *registry.Registry
	host     string
	remote   image.Remote
}

func newWorld(t testing.TB) world {
	t.Helper()
	return newWorldWith(t, registry.Options{})
}

// pkg is where the images go; reader is a token that may not push there.
const (
	pkg    = "calimero-network/mero-kms"
	reader = "a-token-that-reads"
)

func newWorldWith(t testing.TB, o registry.Options) world {
	t.Helper()
	o.Dir, o.Token, o.Now = t.TempDir(), token, time.Now
	o.Rights = func(password string) (registry.Rights, bool) { return registry.Rights{Read: true}, password == reader }
	r, err := registry.Open(o)
	require.NoError(t, err)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return world{registry: r, host: strings.TrimPrefix(server.URL, "http://"), remote: image.Remote{
		Transport: http.DefaultTransport, Auth: &authn.Basic{Username: "ci", Password: token},
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}}
}

func (w world) tag(t testing.TB, tag string) name.Tag {
	t.Helper()
	out, err := name.NewTag(w.host + "/calimero-network/mero-kms:" + tag)
	require.NoError(t, err)
	return out
}

// push pushes the image of one profile and names what it pushed.
func (w world) push(ctx context.Context, t testing.TB, built v1.Image, p release.Profile) name.Digest {
	t.Helper()
	tag := w.tag(t, "1.2.0-"+string(p))
	pushed, err := image.Push(ctx, tag, built, w.remote)
	require.NoError(t, err)
	require.False(t, pushed.Skipped)
	return tag.Context().Digest(pushed.Digest.String())
}
