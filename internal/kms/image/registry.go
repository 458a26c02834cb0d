package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
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

	Wait func(ctx context.Context, d time.Duration) error // between attempts of ours; nil: retry.For
}

// deadline bounds one push or pull of a small image.
const deadline = 10 * time.Minute

// backoff gives the library, which repeats by itself what a registry calls temporary, everybody's schedule.
func backoff() remote.Backoff {
	usual := retry.Usual()
	return remote.Backoff{Duration: usual.First, Factor: 2, Jitter: 0.1, Steps: usual.Attempts}
}

// temporary are the library's own, and GHCR's limit of requests a minute.
func temporary() []int {
	return []int{http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
}

func (r Remote) options(ctx context.Context) []remote.Option {
	auth := r.Auth
	if auth == nil {
		auth = authn.Anonymous
	}
	return []remote.Option{remote.WithContext(ctx), remote.WithTransport(patient{r.Transport, r.Wait}),
		remote.WithAuth(auth), remote.WithRetryBackoff(backoff()), remote.WithRetryStatusCodes(temporary()...),
		remote.WithUserAgent("mero-tee")}
}

const (
	// leastPause is between requests that a limit refuses without a time. GHCR counts by the minute, and the library
	// would have given up after seconds.
	leastPause   = 20 * time.Second
	longestPause = 2 * time.Minute
)

// patient hands a refusal on that passes by itself when its time is over: the library, which repeats the request then,
// knows no Retry-After.
type patient struct {
	next http.RoundTripper
	wait func(ctx context.Context, d time.Duration) error
}

// RoundTrip implements http.RoundTripper.
func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.next.RoundTrip(r)
	if err != nil || !slices.Contains(temporary(), response.StatusCode) {
		return response, err
	}
	pause := retry.After(response.Header)
	if response.StatusCode == http.StatusTooManyRequests {
		pause = max(leastPause, pause)
	}
	if pause == 0 {
		return response, nil
	}
	if pause > longestPause {
		err = fmt.Errorf("asked to wait %s, longer than %s: answered %s", pause, longestPause, response.Status)
	} else {
		err = retry.Policy{Wait: p.wait}.Pause(r.Context(), pause)
	}
	if err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// Pushed is what a push ended in.
type Pushed struct {
	Digest  v1.Hash // of the manifest
	Skipped bool    // the tag already pointed to this digest; nothing was sent
}

// Push uploads image by digest and then names it tag. A tag that already
// points to the same digest is left alone; one that points elsewhere is an
// error with code 10, because a published tag never moves.
//
// GHCR may refuse to say anything of a package that there is not, as it does of
// one that the token may not see. The right to push tells the two apart: after
// the upload the package is there and ours, and only then is the tag believed to be free.
func Push(ctx context.Context, tag name.Tag, image v1.Image, r Remote) (Pushed, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	digest, err := image.Digest()
	if err != nil {
		return Pushed{}, err
	}
	taken, err := pointsTo(tag, digest, r.options(ctx))
	hidden := denied(err)
	if taken || err != nil && !hidden {
		return Pushed{Digest: digest, Skipped: taken}, err
	}
	if err := remote.Write(tag.Context().Digest(digest.String()), image, r.options(ctx)...); err != nil {
		return Pushed{}, pushFault(tag, digest, err)
	}
	if hidden {
		if taken, err := pointsTo(tag, digest, r.options(ctx)); err != nil || taken {
			return Pushed{Digest: digest, Skipped: taken}, err
		}
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

// read pulls the image that digest names and lets use read it. When the
// connection breaks within a blob it does both again: the library repeats what
// it asks for, but not what it reads, and keeps half a configuration.
func (r Remote) read(ctx context.Context, digest name.Digest, use func(v1.Image) error) error {
	policy, pulled := retry.Usual(), false
	policy.Wait = r.Wait
	err := policy.Do(ctx, func(int) error {
		image, err := r.pull(ctx, digest)
		if pulled = err == nil; pulled {
			err = use(image)
		}
		return err
	}, func(err error) (*retry.Class, time.Duration) {
		if !pulled {
			return nil, 0
		}
		return retry.HTTP(err)
	})
	if err != nil {
		return remoteFault("read "+digest.Name(), err)
	}
	return nil
}

func absent(err error) bool { return answered(err, http.StatusNotFound) }

// denied is an answer from which it does not follow whether something is there.
func denied(err error) bool { return answered(err, http.StatusUnauthorized, http.StatusForbidden) }

func answered(err error, statuses ...int) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && slices.Contains(statuses, answer.StatusCode)
}

// Public says whether anybody can read the manifest that digest names: what
// deploys the release pulls it without a token. A package that is not public is
// an error with code 10; that the registry could not be asked is one with code 1.
func Public(ctx context.Context, digest name.Digest, through http.RoundTripper) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	_, err := remote.Head(digest, Remote{Transport: through}.options(ctx)...)
	switch {
	case err == nil:
		return nil
	case absent(err), denied(err):
		return &fault.Error{Code: fault.Verification, Message: "nobody but its owner can pull " + digest.Name(),
			Expected: "a public package", Got: strings.TrimSpace(err.Error()),
			Hint: "a first package is private: make it public at " + SettingsURL(digest.Context()) +
				" (Danger Zone, Change visibility), and run the same command again"}
	}
	return remoteFault("ask for "+digest.Name()+" as a stranger", err)
}

// SettingsURL is the page on which the owner of a package on GHCR says who may
// read and write it. It is an organisation's; a person's has users for orgs.
func SettingsURL(r name.Repository) string {
	owner, pkg, _ := strings.Cut(r.RepositoryStr(), "/")
	return "https://github.com/orgs/" + owner + "/packages/container/" + url.PathEscape(pkg) + "/settings"
}

func pushFault(tag name.Tag, digest v1.Hash, err error) error {
	what := "push " + tag.Context().Name() + "@" + digest.String()
	if !denied(err) {
		return remoteFault(what, err)
	}
	return &fault.Error{Code: fault.General, Message: what, Err: err,
		Expected: "the right to write the package", Got: "a token without it",
		Hint: "give the job packages: write, or GHCR_TOKEN the scope write:packages; and let this repository write the " +
			"package at " + SettingsURL(tag.Context()) + " (Manage Actions access)"}
}

func remoteFault(what string, err error) error {
	return &fault.Error{Code: fault.General, Message: what, Err: err}
}
