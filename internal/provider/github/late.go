package github

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// settling bounds the time in which not every one of GitHub's machines knows
// what was just written: 404 for a release that is public, a list without it.
const settling = time.Minute

// lostSettling bounds the look for what a request made whose answer was lost: most often it made nothing.
const lostSettling = 15 * time.Second

func (c *Client) settles() retry.Policy {
	return retry.Policy{First: 50 * time.Millisecond, Most: 8 * time.Second, Total: settling, Wait: c.policy.Wait}
}

// Await asks until done says yes, for what is known to be on GitHub because it
// was written there a moment ago. ErrNotFound means not yet; the last one is in
// the error when the time is over.
func (c *Client) Await(ctx context.Context, what string, done func() (bool, error)) error {
	var last error
	err := c.settles().Until(ctx, what, func() (bool, error) {
		ok, err := done()
		if errors.Is(err, ErrNotFound) {
			ok, last, err = false, err, nil
		}
		return ok, err
	})
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return err
	}
	return &fault.Error{Code: fault.General, Message: "GitHub does not show " + what, Err: last,
		Expected: "that it does within " + settling.String(), Got: "it does not",
		Hint: "run the same command again: nothing is written twice; see https://www.githubstatus.com"}
}

// Poll asks until done says yes, with the policy's pauses by the client's clock.
// The error wraps context.DeadlineExceeded when the policy's time is over.
func (c *Client) Poll(ctx context.Context, p retry.Policy, what string, done func() (bool, error)) error {
	p.Wait = c.policy.Wait
	return p.Until(ctx, what, done)
}

// made looks for what a request of ours has made or may have made: found says whether it is there. It is looked for
// as long as GitHub may take to show it, unless it is certain that there is nothing to see.
func (c *Client) made(ctx context.Context, certain bool, found func() (bool, error)) (bool, error) {
	there, err := found()
	if there || err != nil || certain {
		return there, err
	}
	p := c.settles()
	p.Total = lostSettling
	err = p.Until(ctx, "what a lost answer may have made", func() (bool, error) {
		there, err = found()
		return there, err
	})
	if !there && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = nil
	}
	return there, err
}

// exists says whether GitHub refused to make something because it is there already.
func exists(err error) bool {
	answer, ok := statusOf(err)
	if !ok || answer.StatusCode != http.StatusUnprocessableEntity {
		return false
	}
	said := strings.Contains(answer.Message, "already exists")
	for _, e := range answer.Errors {
		said = said || e.Code == "already_exists" || strings.Contains(e.Message, "already exists")
	}
	return said
}

// late repeats a request about what GitHub itself has just named while it answers 404.
func (c *Client) late(ctx context.Context, request func() error) error {
	return c.settles().Do(ctx, func(int) error { return request() }, func(err error) (*retry.Class, time.Duration) {
		if notFound(err) || errors.Is(err, ErrNotFound) {
			return listed, 0
		}
		return nil, 0
	})
}
