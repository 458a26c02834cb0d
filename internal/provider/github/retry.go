package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cli/go-gh/v2/pkg/api"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// The classes of failure that pass by themselves.
var (
	overloaded = &retry.Class{}
	// "If … the retry-after header is not present … wait for at least one minute
	// before retrying", then longer each time (docs.github.com, "Best practices for using the REST API").
	untold = &retry.Class{Least: time.Minute}
	// listed is a 404 for what GitHub itself has just named.
	listed = &retry.Class{Attempts: 8}
)

// ErrNotFound says that GitHub answered 404: there is no such thing, or it is
// not visible with these credentials.
var ErrNotFound = errors.New("not found on GitHub")

// retry repeats op while GitHub is overloaded or out of reach. op learns which
// attempt it is, so that one that is not idempotent looks before it repeats.
func (c *Client) retry(ctx context.Context, op func(attempt int) error) error {
	return c.policy.Do(ctx, op, judge)
}

func judge(err error) (*retry.Class, time.Duration) {
	var answer *api.HTTPError
	var refused *fault.Error
	switch {
	case errors.As(err, &answer):
		asked := askedPause(answer.Headers)
		switch {
		case limited(answer) && asked == 0:
			return untold, 0
		case limited(answer), retry.Busy(answer.StatusCode):
			return overloaded, asked
		}
		return nil, 0
	case errors.As(err, &refused):
		return nil, 0
	}
	return overloaded, 0 // the network
}

// speaksOfLimit knows GitHub's words of today and those of its older abuse limit.
func speaksOfLimit(e *api.HTTPError) bool {
	words := strings.ToLower(e.Message)
	return strings.Contains(words, "rate limit") || strings.Contains(words, "abuse detection")
}

// limited recognises GitHub's primary and secondary rate limits.
func limited(e *api.HTTPError) bool {
	if e.StatusCode == http.StatusTooManyRequests {
		return true
	}
	return e.StatusCode == http.StatusForbidden && (e.Headers.Get("Retry-After") != "" ||
		e.Headers.Get("X-RateLimit-Remaining") == "0" || speaksOfLimit(e))
}

// askedPause reads Retry-After, or X-RateLimit-Reset against the answer's own
// Date, so that this machine's clock does not matter.
func askedPause(h http.Header) time.Duration {
	if asked := retry.After(h); asked > 0 {
		return asked
	}
	reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	date, dateErr := http.ParseTime(h.Get("Date"))
	if err != nil || dateErr != nil || h.Get("X-RateLimit-Remaining") != "0" {
		return 0
	}
	return max(0, time.Unix(reset, 0).Sub(date))
}
