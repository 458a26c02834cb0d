package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Whether a machine can test a release is asked first, and only of what tests one.
func TestAMachineIsAskedBeforeARelease(t *testing.T) {
	t.Parallel()
	unable := errors.New("no namespaces")
	for target, asked := range map[string]bool{
		"release:kms": true, "release:prerelease": true, "release:node": true, "release:nodePrerelease": true,
		"kms:e2e": true, "kms:propose": true, "kms:promote": true, "node:e2e": true, "node:promote": true,
		"kms:version": false, "kms:build": false, "kms:audit": false, "kms:catalog": false,
		"node:build": false, "node:measure": false, "node:audit": false, "release:merge": false,
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			family := release.KMS
			if strings.Contains(target, "node") {
				family = release.Node
			}
			tag := release.Tag{Family: family, Version: release.Version{Major: 1}}
			env := &environment.Environment{Settings: environment.Settings{Dist: t.TempDir(),
				Able: func(_ context.Context, f release.Family) error { require.Equal(t, family, f); return unable }}}
			if !asked {
				require.NoError(t, able(t.Context(), env, tag, target))
				return
			}
			require.ErrorIs(t, able(t.Context(), env, tag, target), unable)
			left, err := os.ReadDir(env.Dist)
			require.NoError(t, err)
			require.Empty(t, left, "nothing was begun")

			endToEndPassed(t, env, tag)
			require.NoError(t, able(t.Context(), env, tag, target), "what was tested is not tested again")
			env.Able = nil
			require.NoError(t, able(t.Context(), env, tag, target), "others' machines do it")
		})
	}
}

// endToEndPassed writes down that the end-to-end test passed.
func endToEndPassed(t *testing.T, env *environment.Environment, tag release.Tag) {
	t.Helper()
	l, err := pipeline.OpenLedger(steps.Dir(env.Dist, tag), tag.String(), strings.Repeat("a", 40), time.Now)
	require.NoError(t, err)
	graph := pipeline.Graph{{Name: tag.Family.Short() + ":e2e",
		Do: func(context.Context, *pipeline.Work) error { return nil }}}
	require.NoError(t, (&pipeline.Run{Graph: graph, Ledger: l, Console: console.New(io.Discard, false)}).All(t.Context()))
	require.NoError(t, l.Close())
}
