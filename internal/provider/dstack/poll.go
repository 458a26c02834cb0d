package dstack

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// The first question comes at once, the next after firstPause, and each pause is
// 1.6 times the one before: a local provider is ready in milliseconds, the real
// one in minutes, and neither is asked more often than it takes.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 10 * time.Second
)

// poll asks until done is true, done fails, or ctx ends.
func poll(ctx context.Context, what string, done func() (bool, error)) error {
	for pause := firstPause; ; pause = min(pause*8/5, lastPause) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if err := retry.For(ctx, pause); err != nil {
			return &fault.Error{Code: fault.General, Message: "gave up waiting for " + what, Err: err}
		}
	}
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
