package image_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/rehearsal/registry"
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
	found, err := remote.Head(tag, remote.WithAuth(w.remote.Auth))
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
	require.ErrorContains(t, err, "DENIED")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "the right to write the package", f.Expected)
	require.Contains(t, f.Hint, "https://github.com/orgs/calimero-network/packages/container/mero-kms/settings")
}

// A token of a job with packages: read is not good for pushing, and a HEAD does not tell.
func TestPushNeedsTheRightToWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Auth = &authn.Basic{Username: "ci", Password: reader}
	_, err := image.Push(t.Context(), w.tag(t, "1.2.0-debug"), build(t)[release.Debug], w.remote)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "a token without it", f.Got)
	require.Contains(t, f.Hint, "packages: write")
}

// Whether the registry says 403 or 404 of a package that there is not yet, the first push goes through.
func TestFirstPush(t *testing.T) {
	t.Parallel()
	for _, honest := range []bool{false, true} {
		w := newWorldWith(t, registry.Options{Honest: honest})
		w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
	}
}

// hiding answers the first look at a tag with a refusal, as GHCR may.
type hiding struct {
	http.RoundTripper
	status int
	looks  int // that are refused
}

func (h *hiding) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/manifests/1.2.0-debug") && h.looks > 0 {
		h.looks--
		return &http.Response{StatusCode: h.status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	return h.RoundTripper.RoundTrip(r)
}

// "Denied" is never taken for "absent": after the upload the registry is asked again, and a tag that is taken stays.
func TestADeniedLookIsNoFreeTag(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		w, built := newWorld(t), build(t)
		first := w.push(t.Context(), t, built[release.Debug], release.Debug)
		tag, direct := w.tag(t, "1.2.0-debug"), w.remote
		w.remote.Transport = &hiding{http.DefaultTransport, status, 1}
		_, err := image.Push(t.Context(), tag, built[release.LockedReadOnly], w.remote)
		require.ErrorContains(t, err, "already points to another image")
		w.remote.Transport = &hiding{http.DefaultTransport, status, 1}
		again, err := image.Push(t.Context(), tag, built[release.Debug], w.remote)
		require.NoError(t, err)
		require.True(t, again.Skipped)
		w.remote.Transport = &hiding{http.DefaultTransport, status, 9}
		_, err = image.Push(t.Context(), tag, built[release.LockedReadOnly], w.remote)
		require.ErrorContains(t, err, "look up "+tag.Name())
		found, err := remote.Head(tag, remote.WithAuth(direct.Auth))
		require.NoError(t, err)
		require.Equal(t, first.DigestStr(), found.Digest.String())
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
	err := image.Public(t.Context(), digest, http.DefaultTransport)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Verification, f.Code)
	require.Equal(t, "a public package", f.Expected)
	require.Contains(t, f.Hint, "https://github.com/orgs/calimero-network/packages/container/mero-kms/settings")

	require.NoError(t, w.registry.MakePublic(pkg))
	require.NoError(t, image.Public(t.Context(), digest, http.DefaultTransport))
	absent := digest.Context().Digest("sha256:" + strings.Repeat("0", 64))
	require.Equal(t, fault.Verification, fault.CodeOf(image.Public(t.Context(), absent, http.DefaultTransport)))
	w.registry.Fail(1, http.StatusTeapot)
	require.Equal(t, fault.General, fault.CodeOf(image.Public(t.Context(), digest, http.DefaultTransport)),
		"could not look")
}

func TestPushRetriesWhatIsTemporary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.registry.Fail(2, http.StatusServiceUnavailable)
	w.push(t.Context(), t, build(t)[release.Debug], release.Debug)
	w.registry.Fail(2, http.StatusTooManyRequests)
	w.push(t.Context(), t, build(t)[release.LockedReadOnly], release.LockedReadOnly)

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
