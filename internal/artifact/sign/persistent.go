package sign

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

var (
	down = &retry.Class{Attempts: 4}
	// The public servers refuse for tens of seconds, with a page that often names no time: asked
	// again as long as the signature has time.
	limited = &retry.Class{Least: time.Second}
)

// persistent asks again when a server is busy or unreachable, and ends with ctx:
// sigstore-go sends its requests without one.
type persistent struct {
	ctx  context.Context
	next http.RoundTripper // nil means http.DefaultTransport
	wait func(context.Context, time.Duration) error
}

// RoundTrip implements http.RoundTripper.
func (p persistent) RoundTrip(r *http.Request) (*http.Response, error) {
	policy := retry.Policy{First: 250 * time.Millisecond, Most: 15 * time.Second, Total: signDeadline, Wait: p.wait}
	var response *http.Response
	err := policy.Do(p.ctx, func(int) (err error) {
		discard(response)
		response, err = p.once(r) //nolint:bodyclose // who reads it closes it
		if err != nil || !retry.Busy(response.StatusCode) {
			return err
		}
		return retry.Refused(response)
	}, func(err error) (*retry.Class, time.Duration) { return judge(r, err) })
	if err != nil {
		discard(response) // a page that is no Rekor's answer makes its client complain of the page's type
		return nil, err
	}
	return response, nil
}

func (p persistent) once(r *http.Request) (*http.Response, error) {
	again := r.Clone(p.ctx)
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		again.Body = body
	}
	next := p.next
	if next == nil {
		next = http.DefaultTransport
	}
	return next.RoundTrip(again)
}

// judge says whether the same request may succeed later; a body that cannot be
// sent again makes it not. As many requests as there are assets are refused
// together: each comes back a little later than it was asked to.
func judge(r *http.Request, err error) (*retry.Class, time.Duration) {
	var answer *retry.Answer
	switch {
	case r.Body != nil && r.Body != http.NoBody && r.GetBody == nil:
		return nil, 0
	case !errors.As(err, &answer):
		return down, 0
	case answer.Code == http.StatusTooManyRequests:
		return limited, answer.After + rand.N(answer.After/4+1) //nolint:gosec // no secret hangs on it
	}
	return down, answer.After
}

// discard frees the connection of an answer that is not read.
func discard(response *http.Response) {
	if response != nil {
		_, _ = io.CopyN(io.Discard, response.Body, 1<<16)
		_ = response.Body.Close()
	}
}
