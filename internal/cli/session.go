// Package cli is what a Mage target calls: the steps of a release in one
// session, and the commands of operators, each a function.
//
// Its promise: targets that depend on each other share one session; a step runs
// only when the ledger holds what it needs; every error is printed once; and a
// command ends with one of the spec's exit codes.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

// session is one release under way, shared by all targets of a command.
type session struct {
	console  *console.Console
	progress *console.Progress
	world    io.Closer
	release  *steps.Release
	run      *pipeline.Run
	profile  string // the only one that is wanted of steps that there are for each; empty: all
	mu       sync.Mutex
	failure  error // the first one
}

type sessionKey struct{}

// request is what the target that opens a session asks for.
type request struct {
	family  release.Family // empty: that of the tag
	target  string         // as Mage calls it
	tag     string         // empty: the configuration's
	profile string         // see session
	jobs    []string       // folders of the jobs before, whose ledgers are not merged yet
}

// Step performs a step of a family's release after the targets that it depends
// on: "a target brings what it needs". What the ledger holds is not done again.
func Step(ctx context.Context, f release.Family, name string, deps ...any) error {
	return ProfileStep(ctx, f, name, nil, deps...)
}

// ProfileStep is Step where there is one for each profile, for one of them; nil means all.
func ProfileStep(ctx context.Context, f release.Family, name string, profile *string, deps ...any) error {
	r := request{family: f, target: f.Short() + ":" + name, profile: Value(profile)}
	return r.perform(ctx, deps, func(ctx context.Context, s *session) error {
		profile := ""
		if len(s.run.Graph.Target(r.target)) > 1 {
			profile = s.profile
		}
		return s.run.PerformTarget(ctx, r.target, profile)
	})
}

// Release performs what target depends on, as far as that goes, and then says
// what was released, where it lies, how long each step took and how to verify it.
func Release(ctx context.Context, f release.Family, target string, tag *string, deps ...any) error {
	r := request{family: f, target: target, tag: Value(tag)}
	return r.perform(ctx, deps, func(_ context.Context, s *session) error { return s.release.Report(s.run) })
}

// PrintAsset copies what a step staged to w, after the targets that make it.
func PrintAsset(ctx context.Context, w io.Writer, f release.Family, step, asset string, deps ...any) error {
	r := request{family: f, target: f.Short() + ":" + step}
	return r.perform(ctx, deps, func(_ context.Context, s *session) error { return s.release.Print(w, asset) })
}

// perform joins the session in ctx, or opens one for this command, lets Mage run
// the dependencies, and then does what the target is for. The target that
// opened the session ends the command when something failed.
func (r request) perform(ctx context.Context, deps []any, do func(context.Context, *session) error) error {
	if s, joined := ctx.Value(sessionKey{}).(*session); joined {
		return s.act(ctx, r, deps, do)
	}
	return leave(r.alone(ctx, func(s *session) error {
		return s.act(context.WithValue(ctx, sessionKey{}, s), r, deps, do)
	}))
}

// alone opens a session, lets do work in it, and closes it.
func (r request) alone(ctx context.Context, do func(*session) error) error {
	s := &session{console: newConsole()}
	defer s.close()
	if err := s.open(ctx, r); err != nil {
		return s.fail(r.target, err)
	}
	return do(s)
}

// act does what a target is for, after the targets that it depends on.
func (s *session) act(ctx context.Context, r request, deps []any, do func(context.Context, *session) error) error {
	if err := order(ctx, deps); err != nil {
		return s.stopped(r.target, err)
	}
	return s.fail(r.target, do(ctx, s))
}

// order lets Mage run the dependencies. Mage tells that one failed by a panic,
// which would end this target without an error of its own: as one it is seen by
// every target that waits for this one, and the session is closed in order.
func order(ctx context.Context, deps []any) (err error) {
	defer func() {
		v := recover()
		if failed, ok := v.(error); ok {
			err = failed
		} else if v != nil {
			panic(v)
		}
	}()
	mg.CtxDeps(ctx, deps...)
	return nil
}

// withSession opens a session for what is no step.
func withSession(ctx context.Context, r request, do func(*session) error) error {
	s := &session{console: newConsole()}
	defer s.close()
	if err := s.open(ctx, r); err != nil {
		return err
	}
	return do(s)
}

func (s *session) open(ctx context.Context, r request) error {
	if r.profile != "" {
		if _, err := release.ParseProfile(r.profile); err != nil {
			return err
		}
	}
	w, tag, err := openWorkspace(r.family, r.tag, r.jobs...)
	if err != nil {
		return err
	}
	env, world, err := w.environment(ctx, s.console)
	if err != nil {
		return err
	}
	s.world, s.profile = world, r.profile
	if err := able(ctx, env, tag, r.target); err != nil {
		return err
	}
	opened, graph, err := openPipeline(ctx, env, tag, s.console)
	if err != nil {
		return err
	}
	w.tellMoved(s.console)
	s.release = opened
	s.progress = s.console.Progress(console.IsTerminal(os.Stderr))
	s.run = &pipeline.Run{Graph: graph, Ledger: opened.Ledger, Console: s.console, Progress: s.progress}
	return nil
}

// able asks, before anything is done, whether a target's release can be tested here, if the target does that and it
// was not done: a release that fails in its last steps has cost minutes, and its tag.
func able(ctx context.Context, env *environment.Environment, tag release.Tag, target string) error {
	if env.Able == nil || target == "release:merge" {
		return nil
	}
	graph, test := planOf(tag.Family), tag.Family.Short()+":e2e"
	status, err := graph.Status(steps.Dir(env.Dist, tag))
	if err != nil {
		return nil //nolint:nilerr // a ledger that cannot be read is refused when it is opened
	}
	for i, step := range graph {
		switch {
		case step.Name == test && status.Steps[i].State != string(pipeline.Passed):
			return env.Able(ctx, tag.Family)
		case step.Name == test || step.Target() == target: // what is before the test does not need it
			return nil
		}
	}
	return nil
}

func (s *session) close() {
	if s.progress != nil {
		s.progress.Close()
	}
	var errs []error
	if s.release != nil {
		s.report()
		errs = append(errs, s.release.Close())
	}
	if s.world != nil {
		errs = append(errs, s.world.Close())
	}
	if err := errors.Join(errs...); err != nil {
		s.console.Warnf("closing: %v", err)
	}
}

// fail prints err, unless it only follows from what was printed, and returns
// what Mage makes the exit code of. The first failure decides the code, which
// is printed with it.
func (s *session) fail(target string, err error) error {
	if err == nil {
		return nil
	}
	err = fault.At(target, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	var blocked *pipeline.BlockedError
	switch {
	case s.failure == nil:
		s.failure = err
		s.console.Final(err)
	case !errors.As(err, &blocked):
		s.console.Fault(err)
	}
	return exit(s.failure)
}

// stopped ends a target of which a dependency failed. That one has printed its
// error, unless it broke down.
func (s *session) stopped(target string, err error) error {
	s.mu.Lock()
	failure := s.failure
	s.mu.Unlock()
	if failure == nil {
		return s.fail(target, err)
	}
	return exit(failure)
}

// Exit ends a target outside of the pipelines: it prints the target's error and
// ends the command with its code.
func Exit(target string, err error) error {
	if err == nil {
		return nil
	}
	err = fault.At(target, err)
	newConsole().Final(err)
	return leave(exit(err))
}

// exit is err as Mage understands it: a message and one of the spec's exit
// codes, on the outermost error, where alone Mage looks for one.
func exit(err error) error {
	return mg.Fatalf(int(fault.CodeOf(err)), "%s", stepOf(err))
}

func stepOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Step != "" {
		return f.Step
	}
	return "stopped"
}

// leave ends the command when its target failed. Mage would do the same, after a
// line "Error: …" that has none of the spec's marks and says nothing new. All
// that the target opened is closed by now, and its error is printed.
func leave(err error) error {
	if err != nil {
		os.Exit(mg.ExitStatus(err))
	}
	return nil
}

// newConsole writes to standard error, with annotations in GitHub Actions.
func newConsole() *console.Console {
	return console.New(os.Stderr, os.Getenv("GITHUB_ACTIONS") == "true")
}

// Value is what an optional flag was set to, the zero value when it was not.
func Value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
