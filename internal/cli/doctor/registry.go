package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	pushName = "registry push"
	pushHint = "set GHCR_TOKEN to a token with write:packages for the package's owner; " +
		"in the workflow: permissions: packages: write"
)

// registry begins an upload and cancels it: GHCR gives a token to anybody who
// asks, and only then says whether it is good for pushing. Nothing is stored.
func registry(ctx context.Context, t *target) check.Results {
	if !t.releases(release.KMS) {
		return one(check.NotApplicable(pushName, "node images are not pushed"))
	}
	repository := t.env.Config.Registry + "/" + string(release.KMS)
	err := push(ctx, t.env, repository)
	if err == nil {
		return one(check.Pass(pushName + ": " + repository))
	}
	return one(pushFailed(repository, err))
}

func pushFailed(repository string, err error) check.Result {
	var refused *transport.Error
	unauthorized := []int{http.StatusUnauthorized, http.StatusForbidden}
	if errors.As(err, &refused) && slices.Contains(unauthorized, refused.StatusCode) {
		return fail(pushName, "the token may not push to "+repository, "permission to push",
			fmt.Sprintf("status %d", refused.StatusCode), pushHint)
	}
	return fail(pushName, repository+": "+err.Error(), "", "", "check GHCR_REGISTRY, and that the registry answers")
}

// push is go-containerregistry's CheckPushPermission, which heeds no deadline
// and cancels after it has returned.
func push(ctx context.Context, env *environment.Environment, repository string) error {
	at, err := name.NewRepository(repository, name.StrictValidation)
	if err != nil {
		return err
	}
	scopes := []string{at.Scope(transport.PushScope)}
	t, err := transport.NewWithContext(ctx, at.Registry, env.RegistryAuth, env.Transport, scopes)
	if err != nil {
		return err
	}
	start := url.URL{Scheme: at.Scheme(), Host: at.RegistryStr(), Path: "/v2/" + at.RepositoryStr() + "/blobs/uploads/"}
	resp, err := exchange(ctx, t, http.MethodPost, start.String())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusAccepted); err != nil {
		return err
	}
	if upload, err := resp.Location(); err == nil && upload.Host == start.Host {
		// A registry forgets an upload by itself, too.
		if answer, err := exchange(ctx, t, http.MethodDelete, upload.String()); err == nil {
			defer answer.Body.Close()
		}
	}
	return nil
}

const maxRefusal = 64 << 10

// exchange bounds what is read of the answer.
func exchange(ctx context.Context, t http.RoundTripper, method, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxRefusal), resp.Body}
	return resp, nil
}
