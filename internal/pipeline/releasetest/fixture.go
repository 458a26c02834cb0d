// Package releasetest is the fixture that the tests of both families' releases
// share: a release that is made once, copies of its stages, processes that work
// on them, and looks at what came out.
//
// Its promise: copies share nothing that a test may change, and what is asserted
// of one family is asserted of the other.
package releasetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Fixture is one family's release in a rehearsal.
type Fixture struct {
	Tag         release.Tag // that is released once, for all tests
	Counterpart release.Tag
	Kept        []string // targets after which its folder is kept; "": after the counterpart's release
	Options     []Option // of the commands that make it
	World       func(ctx context.Context, root, dist string, cfg *config.Config,
		c *console.Console) (*environment.Environment, io.Closer, error)
	Open func(ctx context.Context, env *environment.Environment, tag release.Tag,
		c *console.Console) (*steps.Release, pipeline.Graph, error)

	scratch string
	once    sync.Once
	stages  *Stages
	failed  error
}

// Option changes a process before its release opens.
type Option func(*Process) error

// Configured is an option that changes the configuration.
func Configured(change func(*config.Config)) Option {
	return func(p *Process) error { change(p.Env.Config); return nil }
}

// Process is what one command holds: the world, a release and its run.
type Process struct {
	Env     *environment.Environment
	World   io.Closer // what the environment speaks to
	Release *steps.Release
	Run     *pipeline.Run
	Log     *bytes.Buffer
	Writes  atomic.Int64 // requests to GitHub that change something
	closers []func() error
}

// Begin opens a release as a command does. c may be nil: then Log has what is said.
func (f *Fixture) Begin(ctx context.Context, root, dist string, tag release.Tag, c *console.Console,
	options ...Option) (*Process, error) {
	cfg, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	cfg.KMSVersion, cfg.TEEVersion = tag.Version, f.Counterpart.Version
	if tag.Family == release.Node {
		cfg.KMSVersion, cfg.TEEVersion = cfg.TEEVersion, cfg.KMSVersion
	}
	p := &Process{Log: &bytes.Buffer{}}
	if c == nil {
		c = console.New(p.Log, false)
	}
	if p.Env, p.World, err = f.World(ctx, root, dist, cfg, c); err != nil {
		return nil, err
	}
	p.Closing(p.World.Close)
	p.Env.Transport = &Counting{Next: p.Env.Transport, Writes: &p.Writes}
	for _, change := range options {
		if err := change(p); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	if err := p.recall(dist, tag); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.Run = &pipeline.Run{Console: c}
	if p.Release, p.Run.Graph, err = f.Open(ctx, p.Env, tag, c); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.Closing(func() error { return p.Release.Close() })
	p.Writes.Store(0) // what the counterpart took does not count
	p.Run.Ledger = p.Release.Ledger
	return p, nil
}

// recall takes what the release's guards judged, as every command does.
func (p *Process) recall(dist string, tag release.Tag) error {
	judged, err := steps.Judged(steps.Dir(dist, tag), tag)
	if err != nil {
		return err
	}
	_, entries := config.Inspect(func(string) (string, bool) { return "", false })
	_, err = p.Env.Config.Adopt(judged, entries)
	return err
}

// Opened is Begin for a test, which closes it at its end.
func (f *Fixture) Opened(t testing.TB, root, dist string, tag release.Tag, options ...Option) *Process {
	t.Helper()
	p, err := f.Begin(t.Context(), root, dist, tag, nil, options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// Closing lets Close call f, before what was opened earlier is closed.
func (p *Process) Closing(f func() error) { p.closers = append(p.closers, f) }

// Close closes what was opened, the last first.
func (p *Process) Close() error {
	var errs []error
	for _, f := range slices.Backward(p.closers) {
		errs = append(errs, f())
	}
	p.closers = nil
	return errors.Join(errs...)
}

// Perform runs the targets up to last, in the order of the graph; none for "".
func (p *Process) Perform(ctx context.Context, last string) error {
	for _, target := range Targets(p.Run.Graph) {
		if last == "" {
			return nil
		}
		if err := p.Run.PerformTarget(ctx, target, ""); err != nil || target == last {
			return err
		}
	}
	return nil
}

// GitHub is the environment's.
func (p *Process) GitHub(t testing.TB) *github.Client {
	t.Helper()
	c, err := p.Env.GitHub()
	require.NoError(t, err)
	return c
}

// Main runs a package's tests with a folder for all of them.
func (f *Fixture) Main(m *testing.M) int {
	var err error
	if f.scratch, err = os.MkdirTemp("", "release-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(f.scratch)
	return m.Run()
}

// Long leaves a test out of -short, and says which kind it is.
func Long(t testing.TB, kind string) {
	t.Helper()
	if testing.Short() {
		t.Skip(kind + ": left out of -short")
	}
}

// Staged is where the assets of a release are staged.
func Staged(dist string, tag release.Tag) string { return filepath.Join(dist, tag.String(), "assets") }

// OnGitHub is where the local GitHub keeps the assets of a release.
func OnGitHub(dist string, tag release.Tag) string {
	return filepath.Join(dist, "rehearsal", "github", "releases", tag.String())
}
