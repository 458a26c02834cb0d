package kmsrelease

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// "GitHub Container Registry path for KMS Docker images."
func TestImagesGoToTheRegistry(t *testing.T) {
	t.Parallel()
	for registry, want := range map[string]string{
		"ghcr.io/calimero-network": "ghcr.io/calimero-network/mero-kms:1.2.0-rc.1-debug",
		"ghcr.io/acme/images":      "ghcr.io/acme/images/mero-kms:1.2.0-rc.1-debug",
	} {
		p := &Pipeline{Release: &steps.Release{
			Tag: release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2, Candidate: 1}},
			Env: &environment.Environment{Settings: environment.Settings{Config: &config.Config{Registry: registry}}}}}
		tag, err := p.imageTag(release.Debug)
		require.NoError(t, err)
		require.Equal(t, want, tag.String())
	}
}
