package kmsrelease_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// requireReleased checks the final state: one release, public, the latest, with
// the staged bytes; one pull request; every step passed exactly once.
func requireReleased(t testing.TB, p *releasetest.Process, dist string) {
	t.Helper()
	all, err := p.GitHub(t).Releases(t.Context())
	require.NoError(t, err)
	releasetest.RequireReleased(t, dist, stable, p.Run.Graph, all)
	latest, err := p.GitHub(t).Latest(t.Context())
	require.NoError(t, err)
	require.Equal(t, stable.String(), latest.TagName)
	require.Equal(t, []string{"Compatibility of mero-kms-v0.1.0 with mero-tee-v0.1.0"}, p.Pulls(t))
}

// The spec's eleven steps, of which 3 to 5 wait for no more than they read; then the proposal and the promotion.
func TestGraph(t *testing.T) {
	t.Parallel()
	g := kmsrelease.Plan()
	require.NoError(t, g.Check())
	require.Equal(t, []string{"kms:version", "kms:build", "kms:policy", "kms:measure", "kms:sbom", "kms:provenance",
		"kms:checksums",
		"kms:sign", "kms:publish", "kms:audit", "kms:catalog", "kms:e2e", "kms:propose", "kms:promote"},
		releasetest.Targets(g))
}

func TestWholeRelease(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("kms:promote"))
	requireReleased(t, fixture.Opened(t, s.Root, dist, stable), dist)
	releasetest.RequireChecksums(t, releasetest.Contents(t, releasetest.Staged(dist, stable)), release.KMS.Assets())
	require.Contains(t, s.Log, "[PASS] kms:audit: all 22 expected assets are present")
	require.NotContains(t, s.Log, "[FAIL]")
	r := releasetest.RequireReport(t, dist, stable, kmsrelease.Plan())
	counterpart := release.Tag{Family: release.Node, Version: stable.Version}
	require.NotEmpty(t, r.Pairs.TestedIn(catalog.PairOf(stable, counterpart)))
	for _, p := range r.Profiles {
		require.Empty(t, p.Registers[4].Value, "each instance has its own RTMR3")
		require.Len(t, p.Registers[4].Events, 6)
		require.NotEmpty(t, p.Compose)
	}
}

// What is not there is not reported: exit 11, and a way to the page of others' releases.
func TestReportOfNothing(t *testing.T) {
	t.Parallel()
	_, err := steps.Recorded(t.TempDir(), stable, kmsrelease.Plan())
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.MissingAsset, f.Code)
	require.Contains(t, f.Hint, "-report=FILE")
}

// "Release notes must include: changelog, breaking changes, upgrade path, MRTD/RTMR changes, compatible counterpart
// versions": what the public release says is of this release.
func TestNotesOfARelease(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("kms:promote"))
	rel, err := fixture.Opened(t, s.Root, dist, stable).GitHub(t).ReleaseByTag(t.Context(), stable.String())
	require.NoError(t, err)
	for _, want := range []string{"\n## Changes\n", "- The beginning (", "\n## Breaking changes\n", "\n## Upgrade\n",
		"\n## Measurements\n", "/releases/tag/mero-tee-v0.1.0)"} {
		require.Contains(t, rel.Body, want)
	}
	published, err := measurement.Decode(
		[]byte(releasetest.Contents(t, releasetest.OnGitHub(dist, stable))[release.MeasurementsAsset]))
	require.NoError(t, err)
	for _, profile := range release.Profiles() {
		p := published.Profiles[profile]
		for _, want := range []string{p.Image.Digest.String(), p.MRTD.String(), p.RTMR0.String(), p.RTMR1.String(),
			p.RTMR2.String()} {
			require.Contains(t, rel.Body, want)
		}
	}
}

// Law 3: "same bytes: skip and say so".
func TestRunAgainDoesNothing(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("kms:promote"))
	before := releasetest.Records(t, dist, stable)
	p := fixture.Opened(t, s.Root, dist, stable)
	require.NoError(t, p.Perform(t.Context(), "kms:promote"))
	require.Zero(t, p.Writes.Load(), "nothing is written to GitHub")
	require.Equal(t, before, releasetest.Records(t, dist, stable), "nothing is added to the ledger")
	require.Contains(t, p.Log.String(), "kms:promote: already done, nothing to do")
	requireReleased(t, p, dist)
}

// "Same commit, same bytes": everything that was staged is lost, and the
// release is made again from another folder. What comes out is what is public.
func TestMadeAgainFromNothing(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a release that is made a second time")
	s := fixture.Stages(t)
	root, dist := filepath.Join(t.TempDir(), "elsewhere"), releasetest.From(t, s.After("kms:promote"))
	require.NoError(t, releasetest.Repository("../../..", root))
	public := releasetest.Contents(t, releasetest.OnGitHub(dist, stable))
	require.NoError(t, os.RemoveAll(filepath.Join(dist, stable.String())))
	p := fixture.Opened(t, root, dist, stable)
	require.NoError(t, p.Perform(t.Context(), "kms:audit"), "%s", p.Log)
	require.Zero(t, p.Writes.Load(), "published bytes win: nothing is uploaded")
	require.Equal(t, public, releasetest.Contents(t, releasetest.Staged(dist, stable)))
	require.Contains(t, p.Log.String(), "adopted 11 bundles")
	for _, profile := range release.Profiles() {
		require.Contains(t, p.Log.String(), "ghcr.io/calimero-network/mero-kms:0.1.0-"+string(profile)+" is there already")
	}
}

// Law 4: "a tag, once it has a release, never changes".
func TestSourcesChangedAfterPublishing(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	root, dist := filepath.Join(t.TempDir(), "repository"), releasetest.From(t, s.After("kms:promote"))
	require.NoError(t, releasetest.Repository("../../..", root))
	service := filepath.Join(root, "internal/kms/service.go")
	source, err := os.ReadFile(service)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(service, append(source, "// One more line.\n"...), 0o600))
	p := fixture.Opened(t, root, dist, stable)
	err = p.Perform(t.Context(), "kms:promote")
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "mero-kms-v0.1.0 is published, and sources has changed since")
	require.Zero(t, p.Writes.Load())
	require.Equal(t, releasetest.Contents(t, releasetest.OnGitHub(s.After("kms:promote"), stable)),
		releasetest.Contents(t, releasetest.OnGitHub(dist, stable)))
}

// Law 2: whatever order Mage keeps, a step refuses, naming the missing one.
func TestSingleStepNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	p := fixture.Opened(t, s.Root, releasetest.From(t, s.After("")), stable)
	err := p.Run.Perform(t.Context(), "kms:sbom")
	var blocked *pipeline.BlockedError
	require.ErrorAs(t, err, &blocked)
	require.Equal(t, "kms:version", blocked.Missing)
}

func TestRegistryTagIsTaken(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	p := fixture.Opened(t, s.Root, releasetest.From(t, s.After("")), stable)
	tag, err := name.NewTag("ghcr.io/calimero-network/mero-kms:0.1.0-debug-read-only", name.StrictValidation)
	require.NoError(t, err)
	taken := remote.WithTransport(p.Env.Transport)
	require.NoError(t, remote.WriteIndex(tag, empty.Index, taken, remote.WithAuth(p.Env.RegistryAuth)))
	err = p.Perform(t.Context(), "kms:build")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "already points to another image")
	there, err := remote.Head(tag, taken, remote.WithAuth(p.Env.RegistryAuth))
	require.NoError(t, err)
	digest, err := empty.Index.Digest()
	require.NoError(t, err)
	require.Equal(t, digest, there.Digest, "the tag did not move")
}

// Law 3: "other bytes under the same name: a hard error".
func TestDraftHoldsOtherBytes(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("kms:sign"))
	p := fixture.Opened(t, s.Root, dist, stable)
	forged := filepath.Join(t.TempDir(), release.SBOMAsset)
	require.NoError(t, os.WriteFile(forged, []byte("{}\n"), 0o600))
	releasetest.Upload(t, p.GitHub(t), stable, p.Release.Checkout.Commit, forged)
	err := p.Perform(t.Context(), "kms:promote")
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
	dist := releasetest.From(t, s.After("kms:e2e"))
	path := filepath.Join(releasetest.OnGitHub(dist, stable), release.SBOMAsset)
	require.NoError(t, releasetest.ChangeByte(path))
	p := fixture.Opened(t, s.Root, dist, stable)
	require.Error(t, p.Perform(t.Context(), "kms:promote"))
	require.Zero(t, p.Writes.Load())
	rel, err := p.GitHub(t).ReleaseByTag(t.Context(), stable.String())
	require.NoError(t, err)
	require.True(t, rel.Prerelease, "it was not promoted")
	require.Empty(t, p.Pulls(t), "and no catalog entry is proposed")
}
