package gce

import (
	"context"
	"errors"
)

// startable starts an operation that starts or stops the instance, if its status
// allows it and nothing else is being done with it.
func (s *Server) startable(q request, status string, do func(context.Context, *instance) error) (any, error) {
	in, err := s.instance(q)
	if err != nil {
		return nil, err
	}
	if in.GetStatus() != status || !in.work.ended() {
		return nil, notReady(pathOf(in.GetSelfLink()))
	}
	in.work = s.begin(q, in, job{do: func(ctx context.Context) error { return do(ctx, in) }})
	return in.work, nil
}

// ended says that an operation is over, or never was.
func (o *operation) ended() bool {
	if o == nil {
		return true
	}
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// resetInstance is the button of a machine: what runs is gone, what is on the
// disks stays, and the instance is RUNNING all the time.
func (s *Server) resetInstance(q request) (any, error) {
	return s.startable(q, "RUNNING", func(ctx context.Context, in *instance) error {
		return s.restart(ctx, in, s.cut(in))
	})
}

func (s *Server) stopInstance(q request) (any, error) {
	return s.startable(q, "RUNNING", func(_ context.Context, in *instance) error {
		if err := s.locked(func() error {
			in.Status = new("STOPPING")
			return s.save(in)
		}); err != nil {
			return err
		}
		err := s.halt(in)
		return errors.Join(err, s.locked(func() error { return s.terminated(in) }))
	})
}

func (s *Server) startInstance(q request) (any, error) {
	return s.startable(q, "TERMINATED", func(ctx context.Context, in *instance) error {
		s.mu.Lock()
		in.Status = new("PROVISIONING")
		s.mu.Unlock()
		return s.restart(ctx, in, nil)
	})
}

// restart boots an instance that was there before, once what ran of it has ended
// without an error; one that cannot be booted has stopped.
func (s *Server) restart(ctx context.Context, in *instance, err error) error {
	if err == nil {
		err = s.boot(ctx, in)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, s.locked(func() error { return s.terminated(in) }))
}
