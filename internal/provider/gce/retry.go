package gce

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
	maxPause   = 2 * time.Minute // a longer Retry-After is reported instead of waited for

	attempts      = 10 // 61 to 122 s: the API's rate quotas are refilled every minute
	freshAttempts = 6  // 7 to 15 s, in which what was just made may be unknown
	readyAttempts = 20 // 4 to 7 minutes, which a VM may take to shut down
)

// tolerance accepts a refusal as one that may pass by itself.
type tolerance func(r *Refusal, attempt int) bool

// fresh is for what was just made: it may take a moment until it is visible.
func fresh(r *Refusal, attempt int) bool {
	return r.notFound() && attempt+1 < freshAttempts
}

// notReady is for what is being changed by another operation, such as its creation.
func notReady(r *Refusal, attempt int) bool {
	return r.Reason == "resourceNotReady" && attempt+1 < readyAttempts
}

// busy is for what every call may meet.
func busy(r *Refusal, attempt int) bool {
	passing := r.Status == http.StatusTooManyRequests || r.Status == http.StatusRequestTimeout ||
		r.Status >= http.StatusInternalServerError || r.rateLimited()
	return passing && attempt+1 < attempts
}

// call repeats op, which must be idempotent, while the API is busy or out of reach.
func (c *Client) call(ctx context.Context, doing string, op func(context.Context) error, also ...tolerance) error {
	for attempt := 0; ; attempt++ {
		err := once(ctx, op)
		pause, again := retryable(err, attempt, append([]tolerance{busy}, also...))
		if !again || ctx.Err() != nil {
			return explain(doing, err)
		}
		if pause > maxPause || !retry.Fits(ctx, pause) {
			return explain(doing, fmt.Errorf("asked to wait %s, longer than allowed: %w", pause, err))
		}
		if c.wait(ctx, pause) != nil {
			return explain(doing, err)
		}
	}
}

func once(ctx context.Context, op func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := op(ctx)
	if r := refusal(err); r != nil {
		return r // typed, bounded, and without the answer's body
	}
	return err
}

// retryable says whether err may pass by itself, and how long to pause first.
func retryable(err error, attempt int, accept []tolerance) (time.Duration, bool) {
	if err == nil || hopeless(err) {
		return 0, false
	}
	pause := jitter(min(firstPause<<attempt, lastPause))
	r := refusal(err)
	if r == nil {
		return pause, attempt+1 < attempts // the network
	}
	again := slices.ContainsFunc(accept, func(t tolerance) bool { return t(r, attempt) })
	return max(pause, r.after), again
}

// hopeless is an answer that no later one will differ from. Of a certificate the
// text is compared: the token source passes no more on.
func hopeless(err error) bool {
	return errors.Is(err, errTooLarge) || errors.Is(err, proto.Error) || strings.Contains(err.Error(), "tls: failed to verify certificate")
}

// jitter keeps profiles that run side by side from asking in step.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // no secret hangs on it
}
