package kmsrelease_test

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

var stable = release.Tag{Family: release.KMS, Version: release.Version{Minor: 1}}

var fixture = &releasetest.Fixture{
	Tag: stable, Counterpart: release.Tag{Family: release.Node, Version: release.Version{Minor: 1}},
	Kept: []string{"", "kms:sign", "kms:catalog", "kms:e2e", "kms:promote"},
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
		p, err := kmsrelease.Open(ctx, env, tag, c)
		if err != nil {
			return nil, nil, err
		}
		return p.Release, p.Graph(), nil
	},
}

func TestMain(m *testing.M) {
	if os.Getenv(crashVariable) != "" {
		os.Exit(crash())
	}
	os.Exit(fixture.Main(m))
}
