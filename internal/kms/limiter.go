package kms

import (
	"context"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

const (
	maxConnections = 2048 // each may hold a body of wire.MaxBody bytes
	maxScrapes     = 16   // connections that read metrics
	maxDecisions   = 64   // at a time; one takes a millisecond of a core, or waits for Intel and dstack
	maxQuotes      = 8    // at a time; the platform's quoting enclave makes one after the other
	queued         = 8    // for each one under way, so many may wait
	maxWait        = 5 * time.Second
)

// limiter bounds what is done at a time and how many wait for it, first come, first served.
type limiter struct{ running, waiting chan struct{} }

func newLimiter(n int) limiter {
	return limiter{running: make(chan struct{}, n), waiting: make(chan struct{}, n+n*queued)}
}

// enter waits its turn; leave must be called after an enter without error.
func (l limiter) enter(ctx context.Context) error {
	select {
	case l.waiting <- struct{}{}:
	default:
		return busy()
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case l.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-l.waiting
		return busy()
	}
}

func (l limiter) leave() { <-l.running; <-l.waiting }

func busy() error {
	no := refuse(http.StatusTooManyRequests, wire.RateLimited, "too many requests are under way")
	no.retryAfter = time.Second
	return no
}
