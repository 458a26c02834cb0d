package gce

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// calls is the schedule of one call. A longer Retry-After than two minutes is reported instead of waited for.
func calls(wait func(context.Context, time.Duration) error) retry.Policy {
	return retry.Policy{First: 500 * time.Millisecond, Most: 30 * time.Second, Longest: 2 * time.Minute, Wait: wait}
}

// The classes of refusal that may pass by themselves.
var (
	busy     = &retry.Class{Attempts: 10} // at least 122 s: the API's rate quotas are refilled every minute
	unseen   = &retry.Class{Attempts: 6}  // 7 to 15 s, in which what was just made may be unknown
	changing = &retry.Class{Attempts: 20} // 4 to 7 minutes, which a VM may take to shut down
)

// tolerance names the class of a refusal that one kind of call expects to pass, nil for every other.
type tolerance func(*Refusal) *retry.Class

// fresh is for what was just made: it may take a moment until it is visible.
func fresh(r *Refusal) *retry.Class {
	if r.notFound() {
		return unseen
	}
	return nil
}

// notReady is for what is being changed by another operation, such as its
// creation, or used by another resource that is going away.
func notReady(r *Refusal) *retry.Class {
	if r.Reason == "resourceNotReady" || r.Reason == "resourceInUseByAnotherResource" {
		return changing
	}
	return nil
}

// call repeats op, which must be idempotent, while the API is busy or out of reach.
func (c *Client) call(ctx context.Context, doing string, op func(context.Context) error, also ...tolerance) error {
	err := calls(c.wait).Do(ctx, func(int) error { return once(ctx, op) }, func(err error) (*retry.Class, time.Duration) {
		return judge(err, also)
	})
	return explain(doing, err)
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

// judge says whether err may pass by itself.
func judge(err error, also []tolerance) (*retry.Class, time.Duration) {
	if hopeless(err) {
		return nil, 0
	}
	r := refusal(err)
	if r == nil {
		return busy, 0 // the network
	}
	if retry.Busy(r.Status) || r.rateLimited() {
		return busy, r.after
	}
	for _, tolerate := range also {
		if class := tolerate(r); class != nil {
			return class, r.after
		}
	}
	return nil, 0
}

// hopeless is an answer that no later one will differ from. Of a certificate the
// text is compared: the token source passes no more on.
func hopeless(err error) bool {
	return errors.Is(err, errTooLarge) || errors.Is(err, proto.Error) ||
		strings.Contains(err.Error(), "tls: failed to verify certificate")
}
