package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cli/go-gh/v2/pkg/api"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	attempts = 4
	maxPause = 2 * time.Minute // a longer Retry-After is reported instead of waited for
)

// ErrNotFound says that GitHub answered 404: there is no such thing, or it is
// not visible with these credentials.
var ErrNotFound = errors.New("not found on GitHub")

// retry repeats op while GitHub is overloaded or out of reach. op learns which
// attempt it is, so that one that is not idempotent looks before it repeats.
func (c *Client) retry(ctx context.Context, op func(attempt int) error) error {
	for attempt := 0; ; attempt++ {
		err := op(attempt)
		pause, again := retryable(err, attempt)
		if !again || ctx.Err() != nil || attempt+1 == attempts {
			return err
		}
		if pause > maxPause || !retry.Fits(ctx, pause) {
			return fmt.Errorf("GitHub asks to wait %s, longer than allowed: %w", pause, err)
		}
		if c.wait(ctx, pause) != nil {
			return err
		}
	}
}

// retryable says whether err may pass by itself, and how long to pause first.
func retryable(err error, attempt int) (time.Duration, bool) {
	backoff := time.Second << attempt
	var answer *api.HTTPError
	switch {
	case err == nil:
		return 0, false
	case errors.As(err, &answer):
		if limited(answer) {
			return max(backoff, askedPause(answer.Headers)), true
		}
		return max(backoff, askedPause(answer.Headers)), answer.StatusCode >= 500
	}
	var refused *fault.Error
	return backoff, !errors.As(err, &refused) // what is left is the network
}

// limited recognises GitHub's primary and secondary rate limits.
func limited(e *api.HTTPError) bool {
	if e.StatusCode == http.StatusTooManyRequests {
		return true
	}
	return e.StatusCode == http.StatusForbidden && (e.Headers.Get("Retry-After") != "" ||
		e.Headers.Get("X-RateLimit-Remaining") == "0" || strings.Contains(e.Message, "rate limit"))
}

// askedPause reads Retry-After, or X-RateLimit-Reset against the answer's own
// Date, so that this machine's clock does not matter.
func askedPause(h http.Header) time.Duration {
	if seconds, err := strconv.Atoi(h.Get("Retry-After")); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	date, dateErr := http.ParseTime(h.Get("Date"))
	if err != nil || dateErr != nil || h.Get("X-RateLimit-Remaining") != "0" {
		return 0
	}
	return max(0, time.Unix(reset, 0).Sub(date))
}

// explain turns GitHub's answer into an error for people; doing names the attempt ("release v1").
func explain(doing string, err error) error {
	var refused *fault.Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	out := &fault.Error{Code: fault.General, Message: "github: " + doing, Err: err}
	var answer *api.HTTPError
	if !errors.As(err, &answer) {
		return out
	}
	switch {
	case answer.StatusCode == http.StatusNotFound:
		out.Err = ErrNotFound
	case limited(answer):
		out.Hint = "GitHub's rate limit is used up; wait, or set a token"
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		out.Hint = "the token is missing, expired, or lacks the permission (contents: write, pull-requests: write)"
	}
	return out
}
