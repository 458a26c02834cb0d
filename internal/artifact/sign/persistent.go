package sign

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

var (
	down = &retry.Class{Attempts: 4}
	// The public servers refuse for tens of seconds, with a page that often names no time: asked
	// again as long as the signature has time.
	limited = &retry.Class{Least: time.Second}
)

// maxAnswer bounds what a server answers, in bytes: an entry with its proof has a few thousand.
const maxAnswer = 1 << 20

// persistent asks again when a server is busy or unreachable, or its answer
// breaks off, and ends with ctx: sigstore-go sends its requests without one.
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
		response, err = p.once(r) //nolint:bodyclose // it is read and closed
		if err != nil || !retry.Busy(response.StatusCode) {
			return err
		}
		return retry.Refused(response)
	}, func(err error) (*retry.Class, time.Duration) { return judge(r, err) })
	if err != nil { // without the answer: of a page that is no Rekor's its client would complain of the page's type
		return nil, err
	}
	return response, nil
}

// once asks, and has the whole answer when it returns.
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
	response, err := next.RoundTrip(again)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := file.ReadAll(response.Body, maxAnswer)
	response.Body = io.NopCloser(bytes.NewReader(answer))
	if err != nil {
		return nil, err
	}
	return response, nil
}

// judge says whether the same request may succeed later; a body that cannot be
// sent again makes it not. As many requests as there are assets are refused
// together: each comes back a little later than it was asked to.
func judge(r *http.Request, err error) (*retry.Class, time.Duration) {
	var answer *retry.Answer
	switch {
	case r.Body != nil && r.Body != http.NoBody && r.GetBody == nil, errors.Is(err, file.ErrTooLarge):
		return nil, 0
	case !errors.As(err, &answer):
		return down, 0
	case answer.Code == http.StatusTooManyRequests:
		return limited, answer.After + rand.N(answer.After/4+1) //nolint:gosec // no secret hangs on it
	}
	return down, answer.After
}
