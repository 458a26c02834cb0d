package noderelease_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Law 3: "other bytes under the same name: a hard error".
func TestDraftHoldsOtherBytes(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:sign"))
	p := opened(t, s.Root, dist, stable)
	forged := filepath.Join(t.TempDir(), release.SBOMAsset)
	require.NoError(t, os.WriteFile(forged, []byte("{}\n"), 0o600))
	releasetest.Upload(t, p.GitHub(t), stable, p.Release.Checkout.Commit, forged)
	err := p.Perform(t.Context(), "node:promote")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "holds other bytes under the name sbom.spdx.json")
	require.Equal(t, map[string]string{release.SBOMAsset: "{}\n"},
		releasetest.Contents(t, releasetest.OnGitHub(dist, stable)), "nothing is added, nothing is replaced")
	all, err := p.GitHub(t).Releases(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(r github.Release) bool { return r.TagName == stable.String() })
	require.True(t, all[i].Draft, "it did not become public")
}

// The public release is compared with the audited draft, not only with itself.
func TestAssetChangedAfterPublishing(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:e2e"))
	path := filepath.Join(releasetest.OnGitHub(dist, stable), release.EvidenceAsset(release.Debug))
	require.NoError(t, releasetest.ChangeByte(path))
	p := opened(t, s.Root, dist, stable)
	require.Error(t, p.Perform(t.Context(), "node:promote"))
	require.Zero(t, p.Writes.Load())
	rel, err := p.GitHub(t).ReleaseByTag(t.Context(), stable.String())
	require.NoError(t, err)
	require.True(t, rel.Prerelease, "it was not promoted")
	require.Empty(t, p.pulls(t), "and no catalog entry is proposed")
}
