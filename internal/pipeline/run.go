package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// Run is one process's work on one release.
type Run struct {
	Graph    Graph
	Ledger   *Ledger
	Console  *console.Console
	Progress *console.Progress // optional

	mu      sync.Mutex
	timings []Timing
}

// Timing is how long a step took in this process.
type Timing struct {
	Step       string
	Start, End time.Time
	Kept       bool // nothing was done: the ledger already held it
}

// Perform brings one step into the state "passed", doing it only if it must.
// Each begins with guard 4 over the environment, whatever the ledger holds: a
// release goes through several jobs, and the first one saw only its own.
func (r *Run) Perform(ctx context.Context, name string) error {
	step, ok := r.Graph.Step(name)
	if !ok {
		return &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("there is no step %q", name)}
	}
	if environment := guard.Environment(os.Environ()); !environment.OK() {
		return fault.At(name, check.Results{environment}.Report(r.Console.For(name)))
	}
	start := r.Ledger.now()
	kept, err := r.perform(ctx, step)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timings = append(r.timings, Timing{Step: name, Start: start, End: r.Ledger.now(), Kept: kept})
	return fault.At(name, err)
}

func (r *Run) perform(ctx context.Context, step Step) (kept bool, err error) {
	for _, need := range step.Needs {
		if err := r.satisfied(ctx, need); err != nil {
			return false, err
		}
	}
	inputs, err := r.inputs(ctx, step)
	if err != nil {
		return false, err
	}
	if done, err := r.holds(ctx, step, inputs); err != nil || done {
		if done {
			r.Console.For(step.Name).Infof("already done, nothing to do")
		}
		return done, err
	}
	if err := r.unpublished(step, inputs); err != nil {
		return false, err
	}
	return false, r.do(ctx, step, inputs)
}

// satisfied is the gate: the needed step has passed with the inputs it would have now.
func (r *Run) satisfied(ctx context.Context, name string) error {
	step, _ := r.Graph.Step(name)
	for _, need := range step.Needs {
		if err := r.satisfied(ctx, need); err != nil {
			return err
		}
	}
	inputs, err := r.inputs(ctx, step)
	if err != nil {
		return err
	}
	switch done, err := r.holds(ctx, step, inputs); {
	case err != nil:
		return err
	case !done:
		return notInLedger(name)
	}
	return nil
}

// BlockedError says that a step may not run because one that it needs has not
// passed. It is the cause of a fault.Error, so that a caller can tell what
// failed from what merely could not start.
type BlockedError struct{ Missing string }

func (e *BlockedError) Error() string {
	return "the ledger does not hold " + e.Missing + " as passed"
}

func notInLedger(missing string) error {
	return &fault.Error{Code: fault.General, Message: "this step needs " + missing,
		Err:  &BlockedError{missing},
		Hint: fmt.Sprintf("run `go tool mage %s` first, or the whole release", Step{Name: missing}.Target())}
}

// holds says whether the ledger has the step as passed with these inputs and
// its outputs are still what they were.
func (r *Run) holds(ctx context.Context, step Step, inputs Digests) (bool, error) {
	record, ok := r.Ledger.passedWith(step.Name, inputs)
	if !ok || step.Outputs == nil {
		return ok, nil
	}
	outputs, err := step.Outputs(ctx)
	if err != nil {
		return false, err
	}
	return maps.Equal(outputs, record.Outputs), nil
}

// inputs joins what the step reads by itself with the recorded outputs of what it needs.
func (r *Run) inputs(ctx context.Context, step Step) (Digests, error) {
	in := Digests{}
	if step.Inputs != nil {
		own, err := step.Inputs(ctx)
		if err != nil {
			return nil, err
		}
		maps.Copy(in, own)
	}
	for _, need := range step.Needs {
		record, _ := r.Ledger.Latest(need)
		for k, v := range record.Outputs {
			in[need+"/"+k] = v
		}
	}
	return in, nil
}

// unpublished refuses to run a step with other inputs once its tag is public:
// "a tag, once it has a release, never changes".
func (r *Run) unpublished(step Step, inputs Digests) error {
	i := slices.IndexFunc(r.Graph, func(s Step) bool { return s.Publishes })
	if i < 0 {
		return nil
	}
	if record, ok := r.Ledger.Latest(r.Graph[i].Name); !ok || record.Event != Passed {
		return nil
	}
	old, ok := r.Ledger.begun(step.Name)
	if !ok || maps.Equal(old, inputs) {
		return nil
	}
	name, was, is := firstDifference(old, inputs)
	return &fault.Error{Code: fault.General, Message: r.Ledger.tag + " is published, and " + name + " has changed since",
		Expected: was, Got: is,
		Hint: "published means immutable: release under the next version, " + orReset}
}

func firstDifference(old, now Digests) (name, was, is string) {
	names := slices.Sorted(maps.Keys(old))
	for k := range now {
		if _, ok := old[k]; !ok {
			names = append(names, k)
		}
	}
	for _, k := range names {
		if old[k] != now[k] {
			return k, old[k], now[k]
		}
	}
	return "", "", ""
}

// do runs the step between an intent and an outcome.
func (r *Run) do(ctx context.Context, step Step, inputs Digests) (err error) {
	log := r.Console.For(step.Name)
	if err := r.Ledger.append(Record{Step: step.Name, Event: Intent, Inputs: inputs}); err != nil {
		return err
	}
	log.Infof("%s", step.Title)
	if r.Progress != nil {
		r.Progress.Begin(step.Name)
		defer r.Progress.End(step.Name)
	}
	start := r.Ledger.now()
	outcome := Record{Step: step.Name, Event: Passed, Inputs: inputs}
	err = step.Do(ctx, &Work{Console: log, Journal: r.Ledger.Journal(step.Name)})
	if err == nil && step.Outputs != nil {
		outcome.Outputs, err = step.Outputs(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	outcome.Seconds = r.Ledger.now().Sub(start).Seconds()
	if err != nil {
		outcome.Event, outcome.Detail = Failed, err.Error()
	}
	return errors.Join(err, r.Ledger.append(outcome))
}

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
