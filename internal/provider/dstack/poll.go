package dstack

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// poll asks until done is true, done fails, or ctx ends. The first question comes
// at once, the next after 10 ms, and each pause is 1.6 times the one before: a local
// provider is ready in milliseconds, the real one in minutes, and neither is asked
// more often than it takes.
func (c *Client) poll(ctx context.Context, what string, done func() (bool, error)) error {
	p := retry.Policy{First: 10 * time.Millisecond, Factor: 1.6, Most: 10 * time.Second, Wait: c.Wait}
	return p.Until(ctx, what, done)
}

// retriable drops the errors that the next question may not meet: answers of
// the 5xx kind, and 409 and 425 for things still in motion.
func retriable(err error) error {
	var r *Refusal
	if errors.As(err, &r) && (r.Status >= 500 || r.Status == http.StatusConflict || r.Status == http.StatusTooEarly || r.Status == http.StatusNotFound) {
		return nil
	}
	return err
}
