package noderelease_test

import (
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/checksum"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// upload makes a draft of the tag that holds one file.
func upload(t testing.TB, p *process, path string) {
	t.Helper()
	draft, err := p.github(t).CreateDraft(t.Context(), github.Draft{Tag: stable.String(), Commit: p.release.Checkout.Commit, Title: "forged"})
	require.NoError(t, err)
	digest, size, err := checksum.Digest(path)
	require.NoError(t, err)
	_, err = p.github(t).Upload(t.Context(), draft, github.File{Name: filepath.Base(path), Size: size, Digest: "sha256:" + hex.EncodeToString(digest[:]),
		ContentType: "application/json", Open: func() (io.ReadCloser, error) { return os.Open(path) }})
	require.NoError(t, err)
}

// Law 3: "other bytes under the same name: a hard error".
func TestDraftHoldsOtherBytes(t *testing.T) {
	t.Parallel()
	s := world(t)
	dist := from(t, s.signed)
	p := opened(t, s.root, dist, stable)
	forged := filepath.Join(t.TempDir(), release.SBOMAsset)
	require.NoError(t, os.WriteFile(forged, []byte("{}\n"), 0o600))
	upload(t, p, forged)
	err := p.perform(t.Context(), "node:promote")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "holds other bytes under the name sbom.spdx.json")
	require.Equal(t, map[string]string{release.SBOMAsset: "{}\n"}, contents(t, onGitHub(dist, stable)), "nothing is added, nothing is replaced")
	all, err := p.github(t).Releases(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(r github.Release) bool { return r.TagName == stable.String() })
	require.True(t, all[i].Draft, "it did not become public")
}

// The public release is compared with the audited draft, not only with itself.
func TestAssetChangedAfterPublishing(t *testing.T) {
	t.Parallel()
	s := world(t)
	dist := from(t, s.tested)
	path := filepath.Join(onGitHub(dist, stable), release.EvidenceAsset(release.Debug))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	p := opened(t, s.root, dist, stable)
	require.Error(t, p.perform(t.Context(), "node:promote"))
	require.Zero(t, p.writes.Load())
	rel, err := p.github(t).ReleaseByTag(t.Context(), stable.String())
	require.NoError(t, err)
	require.True(t, rel.Prerelease, "it was not promoted")
	require.Empty(t, p.pulls(t), "and no catalog entry is proposed")
}
