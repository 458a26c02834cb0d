// Package cli is what stands between a Mage target and the packages that do
// the work: it opens one session per command, gates each step on the ledger,
// and turns the first error into the command's exit code.
//
// Its promise: a target that depends on others through mg.CtxDeps shares their
// session, every error is printed once, and the exit code is the spec's.
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

// Door is one target's way into the session of its command.
type Door struct {
	session *session
	step    string
	outer   bool // this target opened the session and closes it
}

type session struct {
	console  *console.Console
	progress *console.Progress
	world    io.Closer
	lane     *steps.Release
	run      *pipeline.Run
	part     string // of the steps of a target, the only one that is wanted
	mu       sync.Mutex
	failure  error // the first one
}

type key struct{}

// Option changes how a session is opened.
type Option func(*options)

type options struct {
	tag   string
	whole bool
	part  string
}

// Tag sets the release's tag; nil leaves it to the configuration.
func Tag(tag *string) Option {
	return func(o *options) {
		if tag != nil {
			o.tag = *tag
		}
	}
}

// Whole says that the target stands for the whole release, not for one step of it.
func Whole() Option { return func(o *options) { o.whole = true } }

// Profile restricts the steps that there are for each profile to one of them; nil means all.
func Profile(profile *string) Option { return func(o *options) { o.part = Value(profile) } }

// Open enters the session in ctx, or opens one for this command. Its errors
// are kept and returned by Perform, so that a target stays a straight line.
func Open(ctx context.Context, target string, opts ...Option) (context.Context, *Door) {
	if s, ok := ctx.Value(key{}).(*session); ok {
		return ctx, &Door{session: s, step: target}
	}
	var o options
	for _, f := range opts {
		f(&o)
	}
	s := &session{console: Console()}
	d := &Door{session: s, step: target, outer: true}
	s.fail(target, s.open(ctx, target, o))
	return context.WithValue(ctx, key{}, s), d
}

// Console is the console of a command: standard error, with annotations in GitHub Actions.
func Console() *console.Console {
	return console.New(os.Stderr, os.Getenv("GITHUB_ACTIONS") == "true")
}

// within opens a session for what is no step, and closes it.
func within(ctx context.Context, target, tag string, do func(*session) error) error {
	s := &session{console: Console()}
	d := &Door{session: s, outer: true}
	defer d.Close()
	if err := s.open(ctx, target, options{tag: tag}); err != nil {
		return err
	}
	return do(s)
}

func (s *session) open(ctx context.Context, target string, o options) error {
	if o.part != "" {
		if _, err := release.ParseProfile(o.part); err != nil {
			return err
		}
	}
	tag, env, world, err := s.enter(ctx, familyOf(target, o.tag), o.tag)
	if err != nil {
		return err
	}
	s.world, s.part = world, o.part
	l, graph, err := openRelease(ctx, env, tag, s.console)
	if err != nil {
		return err
	}
	s.lane = l
	s.progress = s.console.Progress(console.IsTerminal(os.Stderr))
	s.run = &pipeline.Run{Graph: graph, Ledger: l.Ledger, Console: s.console, Progress: s.progress}
	if !o.whole {
		s.run.Only = target
	}
	return nil
}

// enter opens the world in which the tag is released.
func (s *session) enter(ctx context.Context, f release.Family, flag string) (release.Tag, *environment.Environment, io.Closer, error) {
	p, cfg, tag, err := asked(f, flag)
	if err != nil {
		return release.Tag{}, nil, nil, err
	}
	env, world, err := environmentOf(ctx, p, cfg, s.console)
	return tag, env, world, err
}

// Perform runs this door's steps, unless the session has already failed to open.
func (d *Door) Perform(ctx context.Context) error {
	s := d.session
	if s.run == nil {
		return Exit(s.failure)
	}
	part := ""
	if len(s.run.Graph.Target(d.step)) > 1 {
		part = s.part
	}
	return s.fail(d.step, s.run.PerformTarget(ctx, d.step, part))
}

// Report closes a whole release: what was released, where it lies, how long
// each step took and how to verify it.
func (d *Door) Report() error {
	s := d.session
	if s.failure != nil {
		return Exit(s.failure)
	}
	return s.fail(d.step, s.lane.Report(s.run))
}

// Print copies a staged asset to w.
func (d *Door) Print(w io.Writer, asset string) error {
	s := d.session
	if s.failure != nil {
		return Exit(s.failure)
	}
	return s.fail(d.step, s.lane.Print(w, asset))
}

// Close ends the session if this door opened it.
func (d *Door) Close() {
	s := d.session
	if !d.outer {
		return
	}
	if s.progress != nil {
		s.progress.Close()
	}
	var errs []error
	if s.lane != nil {
		errs = append(errs, s.lane.Close())
	}
	if s.world != nil {
		errs = append(errs, s.world.Close())
	}
	if err := errors.Join(errs...); err != nil {
		s.console.Warnf("closing: %v", err)
	}
}

// fail prints err, unless it only follows from a failure already printed, and
// returns what Mage makes the exit code of.
func (s *session) fail(target string, err error) error {
	if err == nil {
		return nil
	}
	err = fault.At(target, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	var blocked *pipeline.BlockedError
	if s.failure == nil || !errors.As(err, &blocked) {
		s.console.Fault(err)
	}
	if s.failure == nil {
		s.failure = err
	}
	return Exit(s.failure)
}

// Exit is err as Mage understands it: a message and one of the spec's exit
// codes, on the outermost error, where alone Mage looks for one.
func Exit(err error) error {
	if err == nil {
		return nil
	}
	var f *fault.Error
	step := ""
	if errors.As(err, &f) {
		step = f.Step
	}
	if step == "" {
		step = "stopped"
	}
	return mg.Fatalf(int(fault.CodeOf(err)), "%s (exit code %d)", step, fault.CodeOf(err))
}
