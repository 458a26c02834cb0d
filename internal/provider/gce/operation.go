package gce

import (
	"context"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/uuid"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// maxOperate bounds one operation; an image of 10 GB takes about 2 minutes.
const maxOperate = 15 * time.Minute

// poll asks until done says yes or fails, or limit has passed. The first question
// comes at once, the next after 20 ms, and each pause is 1.6 times the one before:
// the local server is done in milliseconds, Google in minutes, and neither is asked
// more often than it takes.
func (c *Client) poll(ctx context.Context, what string, limit time.Duration,
	done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := retry.Policy{First: 20 * time.Millisecond, Factor: 1.6, Most: 10 * time.Second, Total: limit, Wait: c.wait}
	return p.Until(ctx, what+" at Compute Engine", func() (bool, error) { return done(ctx) })
}

// inZone and inProject ask how an operation is getting on.
func (c *Client) inZone(zone string) asker {
	return func(ctx context.Context, name string) (*computepb.Operation, error) {
		return c.zonal.Get(ctx, &computepb.GetZoneOperationRequest{Project: c.project, Zone: zone, Operation: name})
	}
}

func (c *Client) inProject(ctx context.Context, name string) (*computepb.Operation, error) {
	return c.global.Get(ctx, &computepb.GetGlobalOperationRequest{Project: c.project, Operation: name})
}

type asker func(ctx context.Context, name string) (*computepb.Operation, error)

// sender sends the request for a change. The id says to the service which attempts are one.
type sender func(ctx context.Context, requestID string) (*compute.Operation, error)

// operate sends a request until it is answered and waits for the end of its operation.
func (c *Client) operate(ctx context.Context, doing string, ask asker, send sender, also ...tolerance) error {
	var op *compute.Operation
	id := uuid.NewString()
	err := c.call(ctx, doing, func(ctx context.Context) (err error) {
		op, err = send(ctx, id)
		return err
	}, append(also, notReady)...)
	if err != nil {
		return err
	}
	return c.finish(ctx, doing, op, ask)
}

// finish waits until an operation has ended, well or not.
func (c *Client) finish(ctx context.Context, doing string, started *compute.Operation, ask asker) error {
	op := started.Proto()
	err := c.poll(ctx, doing, maxOperate, func(ctx context.Context) (bool, error) {
		err := c.call(ctx, doing, func(ctx context.Context) error {
			now, err := ask(ctx, op.GetName())
			if err == nil {
				op = now
			}
			return err
		}, fresh)
		return op.GetStatus() == computepb.Operation_DONE, err
	})
	if err != nil {
		return err
	}
	return explain(doing, ended(op))
}
