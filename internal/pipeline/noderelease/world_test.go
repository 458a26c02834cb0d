package noderelease_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

var (
	stable      = release.Tag{Family: release.Node, Version: release.Version{Minor: 1}}
	counterpart = release.Tag{Family: release.KMS, Version: release.Version{Patch: 9}}
)

// fixture simulates the images of its stages, and opened those of a test; fixture.Opened does not.
var fixture = &releasetest.Fixture{
	Tag: stable, Counterpart: counterpart,
	Options: []releasetest.Option{simulated(stable)},
	Kept:    []string{"", "node:build", "node:measure", "node:sign", "node:audit", "node:e2e", "node:promote"},
	World: func(ctx context.Context, root, dist string, cfg *config.Config,
		c *console.Console) (*environment.Environment, io.Closer, error) {
		w, err := rehearsal.Open(ctx, root, dist, cfg, c)
		if err != nil {
			return nil, nil, err
		}
		return w.Env, w, nil
	},
	Open: func(ctx context.Context, env *environment.Environment, tag release.Tag,
		c *console.Console) (*steps.Release, pipeline.Graph, error) {
		p, err := noderelease.Open(ctx, env, tag, c)
		if err != nil {
			return nil, nil, err
		}
		return p.Release, p.Graph(), nil
	},
}

func TestMain(m *testing.M) {
	for variable, child := range map[string]func(order []byte) int{crashVariable: crash, buildVariable: build} {
		if order := os.Getenv(variable); order != "" {
			os.Exit(child([]byte(order)))
		}
	}
	os.Exit(fixture.Main(m))
}

func simulated(tag release.Tag) releasetest.Option {
	return func(p *releasetest.Process) error {
		p.Env.Images = p.World.(*rehearsal.World).Simulated(tag.Version, filepath.Join(p.Env.Dist, "programs"))
		return nil
	}
}

// process is one command over simulated images.
type process struct {
	*releasetest.Process
	cloud *inprocess.Cloud // see inCloud
}

// option changes the process before the release opens.
type option func(*process) error

// configured is an option that changes the configuration.
func configured(change func(*config.Config)) option {
	return func(p *process) error { change(p.Env.Config); return nil }
}

func begin(ctx context.Context, root, dist string, tag release.Tag, options ...option) (*process, error) {
	out := &process{}
	var err error
	out.Process, err = fixture.Begin(ctx, root, dist, tag, nil, simulated(tag), func(p *releasetest.Process) error {
		out.Process = p
		for _, change := range options {
			if err := change(out); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// opened is begin for a test, which closes it at its end.
func opened(t testing.TB, root, dist string, tag release.Tag, options ...option) *process {
	t.Helper()
	p, err := begin(t.Context(), root, dist, tag, options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// pulls lists the pull requests of the release.
func (p *process) pulls(t testing.TB) []string {
	others := func(title string) bool { return !strings.HasPrefix(title, "Compatibility of "+p.Release.Tag.String()) }
	return slices.DeleteFunc(p.Pulls(t), others)
}
