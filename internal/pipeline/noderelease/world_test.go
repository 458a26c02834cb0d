package noderelease_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

var (
	stable      = release.Tag{Family: release.Node, Version: release.Version{Minor: 1}}
	counterpart = release.Tag{Family: release.KMS, Version: release.Version{Patch: 9}}
	scratch     string // of the whole test binary
)

func TestMain(m *testing.M) {
	for variable, child := range map[string]func(order []byte) int{crashVariable: crash, buildVariable: build} {
		if order := os.Getenv(variable); order != "" {
			os.Exit(child([]byte(order)))
		}
	}
	os.Exit(releasetest.WithScratch("noderelease", &scratch, m.Run))
}

// stages are copies of one release's folder, each made when it had come so far.
type stages struct {
	root     string // the repository's copy
	seeded   string // the key service is released, nothing else
	built    string // everything up to node:build
	measured string // everything up to node:measure
	signed   string // everything up to node:sign
	audited  string // everything up to node:audit
	tested   string // everything up to node:e2e
	released string
	log      string
}

// once releases stable a single time for all tests of the binary.
var once = sync.OnceValues(func() (*stages, error) {
	s := &stages{root: filepath.Join(scratch, "repository")}
	if err := releasetest.Repository("../../..", s.root); err != nil {
		return nil, err
	}
	var err error
	s.log, err = releasetest.Release(scratch, []releasetest.Stage{
		{Last: "", Copy: &s.seeded},
		{Last: "node:build", Copy: &s.built},
		{Last: "node:measure", Copy: &s.measured},
		{Last: "node:sign", Copy: &s.signed},
		{Last: "node:audit", Copy: &s.audited},
		{Last: "node:e2e", Copy: &s.tested},
		{Last: "node:promote", Copy: &s.released},
	}, func(dist, last string) (string, error) {
		p, err := begin(context.Background(), s.root, dist, stable)
		if err != nil {
			return "", err
		}
		err = errors.Join(p.perform(context.Background(), last), p.Close())
		return p.log.String(), err
	})
	return s, err
})

func world(t testing.TB) *stages {
	t.Helper()
	s, err := once()
	require.NoError(t, err)
	return s
}

// process is what one command holds: the world, the release and its run.
type process struct {
	world   *rehearsal.World
	release *noderelease.Pipeline
	run     *pipeline.Run
	log     *bytes.Buffer
	writes  atomic.Int64     // requests to GitHub that change something
	cloud   *inprocess.Cloud // see inCloud
	closers []func() error
}

// option changes the process before the release opens.
type option func(*process) error

// configured is an option that changes the configuration.
func configured(f func(*config.Config)) option {
	return func(p *process) error { f(p.world.Env.Config); return nil }
}

// begin opens a release as package cli does, with simulated images.
func begin(ctx context.Context, root, dist string, tag release.Tag, options ...option) (*process, error) {
	p := &process{log: &bytes.Buffer{}}
	return p, p.begin(ctx, root, dist, tag, console.New(p.log, false), append([]option{simulated(tag)}, options...))
}

func simulated(tag release.Tag) option {
	return func(p *process) error {
		p.world.Env.Images = p.world.Simulated(tag.Version, filepath.Join(p.world.Env.Dist, "programs"))
		return nil
	}
}

func (p *process) begin(ctx context.Context, root, dist string, tag release.Tag, c *console.Console, options []option) error {
	cfg, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	cfg.KMSVersion, cfg.TEEVersion = counterpart.Version, tag.Version
	if p.world, err = rehearsal.Open(ctx, root, dist, cfg, c); err != nil {
		return err
	}
	p.closers = append(p.closers, p.world.Close)
	p.world.Env.Transport = &releasetest.Counting{Next: p.world.Env.Transport, Writes: &p.writes}
	for _, f := range options {
		if err := f(p); err != nil {
			return errors.Join(err, p.Close())
		}
	}
	if p.release, err = noderelease.Open(ctx, p.world.Env, tag, c); err != nil {
		return errors.Join(err, p.Close())
	}
	p.closers = append(p.closers, p.release.Close)
	p.writes.Store(0) // what the counterpart took does not count
	p.run = &pipeline.Run{Graph: p.release.Graph(), Ledger: p.release.Ledger, Console: c}
	return nil
}

// opened is begin for a test, which closes it at its end.
func opened(t testing.TB, root, dist string, tag release.Tag, options ...option) *process {
	t.Helper()
	p, err := begin(t.Context(), root, dist, tag, options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// perform runs the targets up to last, in the order of the graph; none for "".
func (p *process) perform(ctx context.Context, last string) error {
	for _, target := range targets(p.run.Graph) {
		if last == "" {
			return nil
		}
		if err := p.run.PerformTarget(ctx, target, ""); err != nil || target == last {
			return err
		}
	}
	return nil
}

func targets(g pipeline.Graph) []string {
	var out []string
	for _, step := range g {
		if !slices.Contains(out, step.Target()) {
			out = append(out, step.Target())
		}
	}
	return out
}

// Close closes what was opened, the last first.
func (p *process) Close() error {
	var errs []error
	for _, f := range slices.Backward(p.closers) {
		errs = append(errs, f())
	}
	p.closers = nil
	return errors.Join(errs...)
}

func (p *process) github(t testing.TB) *github.Client { return releasetest.GitHub(t, p.world.Env) }

// pulls lists the pull requests of the release.
func (p *process) pulls(t testing.TB) []string {
	others := func(title string) bool { return !strings.HasPrefix(title, "Compatibility of "+p.release.Tag.String()) }
	return slices.DeleteFunc(releasetest.Pulls(t, p.world.Env), others)
}
