package kmsrelease_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
)

// A first package is private. Nothing that would pull it without a token begins
// before somebody made it public; then the same command goes on.
func TestImagesThatNobodyCanPull(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("kms:sign"))
	public := filepath.Join(dist, "rehearsal", "registry", "public", "calimero-network", "mero-kms", "_public")
	require.NoError(t, os.Remove(public), "the owner made it private")
	p := fixture.Opened(t, s.Root, dist, stable)
	err := p.Perform(t.Context(), "kms:audit")
	require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
	require.Contains(t, p.Log.String(), "[FAIL] kms:audit: anybody can pull the image of debug: nobody but its owner")
	require.Contains(t, p.Log.String(), "https://github.com/orgs/calimero-network/packages/container/mero-kms/settings")
	require.Error(t, p.Run.Perform(t.Context(), "kms:e2e"), "the ledger lets nothing past the audit")

	require.NoError(t, os.WriteFile(public, nil, 0o600))
	require.NoError(t, p.Perform(t.Context(), "kms:audit"), "%s", p.Log)
}
