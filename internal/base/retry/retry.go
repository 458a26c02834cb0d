// Package retry asks again, later, what could not be answered now.
//
// Its promise: only failures that the caller calls passing are repeated; a
// server that says how long to wait is not asked before; pauses grow and never
// outlast the context; and what failed at last is what is returned.
//
// cenkalti/backoff is not used: it waits by a timer that no test can replace,
// knows one class of failure, and returns the context's error for the server's.
package retry

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Policy says how often, after which pauses and for how long something is asked again.
type Policy struct {
	First    time.Duration // the pause after the first attempt; later ones grow
	Factor   float64       // of growth; 0 means 2
	Most     time.Duration // no pause grows beyond it; 0 means no limit
	Attempts int           // of one class of failure, with the first; 0 means as many as the time allows
	Longest  time.Duration // a server that asks for more is not waited for; 0 means no limit
	Total    time.Duration // of all pauses together; 0 means as long as the context allows

	Wait func(ctx context.Context, d time.Duration) error // nil means For; a test puts its own clock here
}

// Usual is the schedule of a client that has no reason for another: pauses of 1, 2 and 4 seconds.
func Usual() Policy { return Policy{First: time.Second, Attempts: 4, Longest: 2 * time.Minute} }

// Class is a kind of failure that passes by itself. Each is counted for itself.
type Class struct {
	Attempts int           // instead of the policy's; 0 means the policy's
	Least    time.Duration // the first pause is at least this long, and later ones grow from it
}

// Judge names the class of a failure, nil for one that will not pass, and the
// pause that the server asks for, 0 when it does not say.
type Judge func(error) (class *Class, asked time.Duration)

// Do repeats op until it succeeds, fails for good, or attempts or time run out.
// op learns which attempt it is, from 0: one that is not idempotent has to look
// what an earlier one did.
func (p Policy) Do(ctx context.Context, op func(attempt int) error, judge Judge) error {
	seen := map[*Class]int{}
	var waited time.Duration
	for attempt := 0; ; attempt++ {
		err := op(attempt)
		if err == nil || ctx.Err() != nil {
			return err
		}
		class, asked := judge(err)
		if class == nil || p.exhausted(class, seen[class]+1) {
			return err
		}
		pause := max(asked, p.grown(p.First, attempt), p.grown(class.Least, seen[class]))
		seen[class]++
		waited += pause
		if p.Longest > 0 && asked > p.Longest {
			return fmt.Errorf("asked to wait %s, longer than %s: %w", asked, p.Longest, err)
		}
		if !Fits(ctx, pause) || p.Total > 0 && waited > p.Total {
			return fmt.Errorf("another attempt could come only after %s, which is too late: %w", pause, err)
		}
		if p.Pause(ctx, pause) != nil {
			return err
		}
	}
}

// Until waits for what: it asks until done says yes or fails, or ctx or Total ends.
func (p Policy) Until(ctx context.Context, what string, done func() (bool, error)) error {
	var waited time.Duration
	for attempt := 0; ; attempt++ {
		if ok, err := done(); ok || err != nil {
			return err
		}
		pause := p.grown(p.First, attempt)
		err := p.Pause(ctx, pause)
		if waited += pause; err == nil && p.Total > 0 && waited > p.Total {
			err = context.DeadlineExceeded
		}
		if err != nil {
			return &fault.Error{Code: fault.General, Message: "gave up waiting for " + what, Err: err}
		}
	}
}

func (p Policy) exhausted(c *Class, failures int) bool {
	limit := p.Attempts
	if c.Attempts > 0 {
		limit = c.Attempts
	}
	return limit > 0 && failures >= limit
}

// grown is the pause after so many that began with first.
func (p Policy) grown(first time.Duration, before int) time.Duration {
	factor := p.Factor
	if factor == 0 {
		factor = 2
	}
	most := float64(math.MaxInt64 / 2)
	if p.Most > 0 {
		most = float64(max(p.Most, first))
	}
	return time.Duration(min(float64(first)*math.Pow(factor, float64(before)), most))
}

// Pause waits once, by the policy's clock. By the real one it takes up to a quarter
// longer, by chance: clients that were refused together must not come back together.
func (p Policy) Pause(ctx context.Context, d time.Duration) error {
	if p.Wait != nil {
		return p.Wait(ctx, d)
	}
	return For(ctx, d+rand.N(d/4+1)) //nolint:gosec // no secret hangs on it
}

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
