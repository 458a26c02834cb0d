// Package retry pauses between attempts.
//
// Its promise: a pause takes the time asked for and no longer, and ends early with its context.
package retry

import (
	"context"
	"time"
)

// For waits until d has passed; when ctx ends first, it returns the error of ctx.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Fits says whether d passes before the deadline of ctx: a longer pause would
// end in an error that hides what it was waited for.
func Fits(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > d
}
