package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// PerformTarget performs the steps of a target side by side: all of them, or
// only the one of that part. One that fails does not stop the others, whose
// work is kept.
func (r *Run) PerformTarget(ctx context.Context, target, part string) error {
	steps := r.Graph.Target(target)
	if part != "" {
		step, ok := r.Graph.Step(Part(target, part))
		if !ok {
			return &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("%s has no part %q", target, part)}
		}
		steps = []Step{step}
	}
	if len(steps) == 0 {
		return &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("there is no step %q", target)}
	}
	errs := make([]error, len(steps))
	var wg sync.WaitGroup
	for i, s := range steps {
		wg.Go(func() { errs[i] = r.Perform(ctx, s.Name) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// All performs every step of the graph, each as soon as what it needs has
// passed. The first failure ends the others.
func (r *Run) All(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	passed := map[string]chan struct{}{}
	for _, s := range r.Graph {
		passed[s.Name] = make(chan struct{})
	}
	for _, s := range r.Graph {
		g.Go(func() error {
			for _, need := range s.Needs {
				select {
				case <-passed[need]:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if err := r.Perform(ctx, s.Name); err != nil {
				return err
			}
			close(passed[s.Name])
			return nil
		})
	}
	return g.Wait()
}
