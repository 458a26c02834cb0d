package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// Remote is how a registry is reached.
type Remote struct {
	Transport http.RoundTripper   // required; in production http.DefaultTransport
	Auth      authn.Authenticator // nil: anonymous
}

// deadline bounds one push or pull of a small image.
const deadline = 10 * time.Minute

// backoff gives the library, which repeats by itself what a registry calls temporary, everybody's schedule.
func backoff() remote.Backoff {
	usual := retry.Usual()
	return remote.Backoff{Duration: usual.First, Factor: 2, Jitter: 0.1, Steps: usual.Attempts}
}

func (r Remote) options(ctx context.Context) []remote.Option {
	auth := r.Auth
	if auth == nil {
		auth = authn.Anonymous
	}
	return []remote.Option{remote.WithContext(ctx), remote.WithTransport(r.Transport), remote.WithAuth(auth),
		remote.WithRetryBackoff(backoff()), remote.WithUserAgent("mero-tee")}
}

// Pushed is what a push ended in.
type Pushed struct {
	Digest  v1.Hash // of the manifest
	Skipped bool    // the tag already pointed to this digest; nothing was sent
}

// Push uploads image by digest and then names it tag. A tag that already
// points to the same digest is left alone; one that points elsewhere is an
// error with code 10, because a published tag never moves.
func Push(ctx context.Context, tag name.Tag, image v1.Image, r Remote) (Pushed, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	digest, err := image.Digest()
	if err != nil {
		return Pushed{}, err
	}
	taken, err := pointsTo(tag, digest, r.options(ctx))
	if err != nil || taken {
		return Pushed{Digest: digest, Skipped: taken}, err
	}
	if err := remote.Write(tag.Context().Digest(digest.String()), image, r.options(ctx)...); err != nil {
		return Pushed{}, remoteFault("push "+tag.Context().Name()+"@"+digest.String(), err)
	}
	if err := remote.Tag(tag, image, r.options(ctx)...); err != nil {
		return Pushed{}, remoteFault("tag "+tag.Name(), err)
	}
	// Somebody else may have tagged between the first look and now.
	if _, err := pointsTo(tag, digest, r.options(ctx)); err != nil {
		return Pushed{}, err
	}
	return Pushed{Digest: digest}, nil
}

// pointsTo is false when the tag does not exist.
func pointsTo(tag name.Tag, want v1.Hash, options []remote.Option) (bool, error) {
	found, err := remote.Head(tag, options...)
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, remoteFault("look up "+tag.Name(), err)
	}
	if found.Digest != want {
		return false, &fault.Error{Code: fault.Verification,
			Message:  "registry tag " + tag.Name() + " already points to another image",
			Expected: want.String(), Got: found.Digest.String(),
			Hint: "a published tag never moves: release the next version"}
	}
	return true, nil
}

// pull finds the one image that digest names; its layers are read when they are
// used. An index is refused: a digest of it would not name one image.
func (r Remote) pull(ctx context.Context, digest name.Digest) (v1.Image, error) {
	found, err := remote.Get(digest, r.options(ctx)...)
	if err != nil {
		return nil, err
	}
	if !found.MediaType.IsImage() {
		return nil, fmt.Errorf("%s is no image's manifest", found.MediaType)
	}
	return found.Image()
}

func absent(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

func remoteFault(what string, err error) error {
	return &fault.Error{Code: fault.General, Message: what, Err: err}
}
