package github

import (
	"context"
	"errors"
	"io"
	"time"
)

// maxIdle ends a transfer in which nothing moved for so long. A transfer has no
// other limit than its context: an image of several gigabytes may take an hour.
const maxIdle = time.Minute

var errStalled = errors.New("the transfer stalled for " + maxIdle.String())

// progress cancels its context when nobody touches it for maxIdle.
type progress struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func watch(parent context.Context) (context.Context, *progress) {
	ctx, cancel := context.WithCancelCause(parent)
	p := &progress{ctx: ctx, cancel: cancel}
	p.timer = time.AfterFunc(maxIdle, func() { cancel(errStalled) })
	return ctx, p
}

func (p *progress) stop() {
	p.timer.Stop()
	p.cancel(nil)
}

// cause replaces "context canceled" by the stall that caused it.
func (p *progress) cause(err error) error {
	if errors.Is(context.Cause(p.ctx), errStalled) {
		return errStalled
	}
	return err
}

// body is rc with every read counted as progress.
func (p *progress) body(rc io.ReadCloser) io.ReadCloser { return touching{rc, p} }

type touching struct {
	io.ReadCloser
	p *progress
}

func (t touching) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.p.timer.Reset(maxIdle)
	return n, err
}
