package image_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestPushTwiceIsOnePush(t *testing.T) {
	t.Parallel()
	w, built := newWorld(t), build(t)[release.Debug]
	digest := w.push(t.Context(), t, built, release.Debug)
	again, err := image.Push(t.Context(), w.tag(t, "1.2.0-debug"), built, w.remote)
	require.NoError(t, err)
	require.True(t, again.Skipped)
	require.Equal(t, digest.DigestStr(), again.Digest.String())
}

func TestPublishedTagNeverMoves(t *testing.T) {
	t.Parallel()
	w, built := newWorld(t), build(t)
	tag := w.tag(t, "1.2.0-debug")
	first := w.push(t.Context(), t, built[release.Debug], release.Debug)
	other, err := built[release.LockedReadOnly].Digest()
	require.NoError(t, err)
	_, err = image.Push(t.Context(), tag, built[release.LockedReadOnly], w.remote)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Verification, f.Code)
	require.Equal(t, other.String(), f.Expected)
	require.Equal(t, first.DigestStr(), f.Got)
	found, err := remote.Head(tag)
	require.NoError(t, err)
	require.Equal(t, first.DigestStr(), found.Digest.String())
}

// interloper tags another image just after our tag was written.
type interloper struct {
	http.RoundTripper
	tag string
	act func()
}

func (i *interloper) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := i.RoundTripper.RoundTrip(req)
	if req.Method == http.MethodPut && req.URL.Path == i.tag {
		i.act()
	}
	return res, err
}

func TestLostRaceForATag(t *testing.T) {
	t.Parallel()
	w, built := newWorld(t), build(t)
	tag := w.tag(t, "1.2.0-debug")
	other := w.remote
	w.remote.Transport = &interloper{http.DefaultTransport, "/v2/calimero-network/mero-kms/manifests/1.2.0-debug", func() {
		assertNoError(t, remote.Write(tag, built[release.LockedReadOnly], remote.WithAuth(other.Auth)))
	}}
	_, err := image.Push(t.Context(), tag, built[release.Debug], w.remote)
	require.ErrorContains(t, err, "already points to another image")
}

func assertNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err) // not require: it runs inside the client
	}
}

func TestPushNeedsTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Auth = nil
	_, err := image.Push(t.Context(), w.tag(t, "1.2.0-debug"), build(t)[release.Debug], w.remote)
	require.ErrorContains(t, err, "UNAUTHORIZED")
}

func TestPushRetriesWhatIsTemporary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.registry.Fail(2, http.StatusServiceUnavailable)
	w.push(t.Context(), t, build(t)[release.Debug], release.Debug)

	w.registry.Fail(1000, http.StatusServiceUnavailable)
	_, err := image.Push(t.Context(), w.tag(t, "1.2.1-debug"), build(t)[release.Debug], w.remote)
	require.ErrorContains(t, err, "try again later")
}

func TestPushEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := image.Push(ctx, w.tag(t, "1.2.0-debug"), build(t)[release.Debug], w.remote)
	require.ErrorIs(t, err, context.Canceled)
}

// A push that was killed between the blobs and the tag is finished by the next one.
func TestPushResumes(t *testing.T) {
	t.Parallel()
	w, built := newWorld(t), build(t)[release.Debug]
	tag := w.tag(t, "1.2.0-debug")
	digest, err := built.Digest()
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag.Context().Digest(digest.String()), built, remote.WithAuth(w.remote.Auth)))
	pushed, err := image.Push(t.Context(), tag, built, w.remote)
	require.NoError(t, err)
	require.False(t, pushed.Skipped)
}
