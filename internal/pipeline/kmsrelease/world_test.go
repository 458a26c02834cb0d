package kmsrelease_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

var (
	stable  = release.Tag{Family: release.KMS, Version: release.Version{Minor: 1}}
	scratch string // of the whole test binary
)

func TestMain(m *testing.M) {
	if os.Getenv(crashVariable) != "" {
		os.Exit(crash())
	}
	os.Exit(releasetest.WithScratch("kmsrelease", &scratch, m.Run))
}

// stages are copies of one release's folder, each made when it had come so far.
type stages struct {
	root     string // the repository's copy
	seeded   string // the counterpart is released, nothing else
	signed   string // everything up to kms:sign
	staged   string // everything up to kms:catalog
	tested   string // everything up to kms:e2e
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
		{Last: "kms:sign", Copy: &s.signed},
		{Last: "kms:catalog", Copy: &s.staged},
		{Last: "kms:e2e", Copy: &s.tested},
		{Last: "kms:promote", Copy: &s.released},
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
	release *kmsrelease.Pipeline
	run     *pipeline.Run
	log     *bytes.Buffer
	writes  atomic.Int64 // requests to GitHub that change something
}

// option changes the configuration before the world opens.
type option func(*config.Config)

// begin opens a release as package cli does.
func begin(ctx context.Context, root, dist string, tag release.Tag, options ...option) (*process, error) {
	cfg, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	cfg.KMSVersion, cfg.TEEVersion = tag.Version, stable.Version
	for _, f := range options {
		f(cfg)
	}
	p := &process{log: &bytes.Buffer{}}
	c := console.New(p.log, false)
	if p.world, err = rehearsal.Open(ctx, root, dist, cfg, c); err != nil {
		return nil, err
	}
	p.world.Env.Transport = &releasetest.Counting{Next: p.world.Env.Transport, Writes: &p.writes}
	if p.release, err = kmsrelease.Open(ctx, p.world.Env, tag, c); err != nil {
		return nil, errors.Join(err, p.world.Close())
	}
	p.writes.Store(0) // what the counterpart took does not count
	p.run = &pipeline.Run{Graph: p.release.Graph(), Ledger: p.release.Ledger, Console: c}
	return p, nil
}

// opened is begin for a test, which closes it at its end.
func opened(t testing.TB, root, dist string, tag release.Tag, options ...option) *process {
	t.Helper()
	p, err := begin(t.Context(), root, dist, tag, options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// perform runs the steps up to last, in the order of the graph; none for "".
func (p *process) perform(ctx context.Context, last string) error {
	for _, step := range p.run.Graph {
		if last == "" {
			return nil
		}
		if err := p.run.Perform(ctx, step.Name); err != nil || step.Name == last {
			return err
		}
	}
	return nil
}

func (p *process) Close() error { return errors.Join(p.release.Close(), p.world.Close()) }

func (p *process) github(t testing.TB) *github.Client { return releasetest.GitHub(t, p.world.Env) }

func (p *process) pulls(t testing.TB) []string { return releasetest.Pulls(t, p.world.Env) }
