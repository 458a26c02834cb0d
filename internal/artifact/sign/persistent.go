package sign

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	attempts  = 4
	firstWait = 250 * time.Millisecond // doubled after each attempt
)

// persistent asks again when a server is busy or unreachable, and ends with ctx:
// sigstore-go sends its requests without one.
type persistent struct {
	ctx  context.Context
	next http.RoundTripper // nil means http.DefaultTransport
}

// RoundTrip implements http.RoundTripper.
func (p persistent) RoundTrip(r *http.Request) (*http.Response, error) {
	next := p.next
	if next == nil {
		next = http.DefaultTransport
	}
	for attempt := 1; ; attempt++ {
		again := r.Clone(p.ctx)
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			again.Body = body
		}
		response, err := next.RoundTrip(again)
		if attempt == attempts || !worthAnother(r, response, err) || p.ctx.Err() != nil {
			return response, err
		}
		discard(response)
		if err := retry.For(p.ctx, firstWait<<(attempt-1)); err != nil {
			return nil, err
		}
	}
}

// worthAnother says whether the same request may succeed later; a body that cannot be sent again makes it not.
func worthAnother(r *http.Request, response *http.Response, err error) bool {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return false
	}
	return err != nil || response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= http.StatusInternalServerError
}

// discard frees the connection of an answer that is not read.
func discard(response *http.Response) {
	if response != nil {
		_, _ = io.CopyN(io.Discard, response.Body, 1<<16)
		_ = response.Body.Close()
	}
}
