// Package hang bounds what a test waits for.
//
// Its promise: no test fails because its machine is busy. What a test waits for
// ends by itself; only one that hangs meets the limit, and says so before the
// test binary's own -timeout ends everything without a word.
package hang

import (
	"context"
	"testing"
	"time"
)

// most is the limit where the test binary has none.
const most = 10 * time.Minute

// Limit is how long a test may wait before it calls something hung: nine tenths of what -timeout leaves it.
func Limit(t testing.TB) (limit time.Duration) {
	defer func() {
		if recover() != nil { // a bubble of synctest has no deadline, and a clock of its own
			limit = most
		}
	}()
	bounded, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return most
	}
	end, ok := bounded.Deadline()
	if !ok {
		return most
	}
	return time.Until(end) * 9 / 10
}

// Context is the test's own, until the limit.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), Limit(t))
	t.Cleanup(cancel)
	return ctx
}
