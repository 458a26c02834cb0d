package noderelease_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// requireReleased checks the final state: one release, public, with the
// staged bytes; one pull request; every step passed exactly once.
func requireReleased(t testing.TB, p *process, dist string) {
	t.Helper()
	all, err := p.GitHub(t).Releases(t.Context())
	require.NoError(t, err)
	releasetest.RequireReleased(t, dist, stable, p.Run.Graph, all)
	require.Equal(t, []string{"Compatibility of mero-tee-v0.1.0 with mero-kms-v0.0.9"}, p.pulls(t))
}

func TestGraph(t *testing.T) {
	t.Parallel()
	g := noderelease.Plan()
	require.NoError(t, g.Check())
	require.Equal(t, []string{"node:version", "node:build", "node:measure", "node:mrtds", "node:sbom", "node:provenance",
		"node:checksums",
		"node:sign",
		"node:publish", "node:audit", "node:e2e", "node:catalog", "node:promote"}, releasetest.Targets(g))
	for _, target := range []string{"node:build", "node:measure"} {
		require.Len(t, g.Target(target), len(release.Profiles()))
	}
}

func TestWholeRelease(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:promote"))
	p := opened(t, s.Root, dist, stable)
	requireReleased(t, p, dist)
	releasetest.RequireChecksums(t, releasetest.Contents(t, releasetest.Staged(dist, stable)), release.Node.Assets())
	require.NotContains(t, s.Log, "[FAIL]")
	require.Contains(t, s.Log, "[PASS] node:audit: boots of locked-read-only")
	require.Contains(t, s.Log, "node:measure/debug: Intel Trust Authority agrees")
	require.Contains(t, s.Log, "node:measure/debug: two boots and a reboot agree, and are what the image's record "+
		"predicts; TCB status UpToDate")
	latest, err := p.GitHub(t).Latest(t.Context())
	require.NoError(t, err)
	require.Equal(t, stable.String(), latest.TagName)
}

// The events that the report of a release shows make the registers that it shows.
func TestReportExplainsTheRegisters(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:promote"))
	for _, profile := range releasetest.RequireReport(t, dist, stable, noderelease.Plan()).Profiles {
		require.Len(t, profile.Boots, 3)
		require.Contains(t, profile.Registers[0].Known, "endorsed by Google on ")
		require.Contains(t, profile.Registers[2].Known, "predicted from the image")
		for _, register := range profile.Registers[1:4] {
			var value tdx.Register
			require.NotEmpty(t, register.Events, register.Name)
			for _, e := range register.Events {
				require.NotEmpty(t, e.Words)
				digest, err := tdx.ParseRegister(e.Digest)
				require.NoError(t, err)
				value = value.Extend(digest)
			}
			require.Equal(t, register.Value, value.String(), register.Name)
		}
	}
}

// A node release promotes nothing, and the policies on the branch, from which
// refreshing and revoking start, keep what was promoted before it.
func TestPoliciesStay(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	p := opened(t, s.Root, releasetest.From(t, s.After("node:promote")), stable)
	working, err := propose.Load(t.Context(), p.GitHub(t), propose.Base)
	require.NoError(t, err)
	for _, profile := range release.Profiles() {
		var of []string
		for _, m := range working[profile].Measurements {
			of = append(of, m.NodeRelease.String())
		}
		require.ElementsMatch(t, []string{"mero-tee-v0.0.9", "mero-tee-v0.0.8"}, of, profile)
	}
}

// "published-mrtds.json with evidence": every register is that of three boots' quotes.
func TestMeasurementsComeFromTheEvidence(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	files := releasetest.Contents(t, releasetest.OnGitHub(s.After("node:promote"), stable))
	published, err := measurement.Decode([]byte(files[release.MeasurementsAsset]))
	require.NoError(t, err)
	seen := map[tdx.Register]bool{}
	for _, profile := range release.Profiles() {
		got := published.Profiles[profile]
		evidence, err := evidence.DecodeEvidence([]byte(files[release.EvidenceAsset(profile)]))
		require.NoError(t, err)
		require.Len(t, evidence.Boots, 3)
		for i, b := range evidence.Boots {
			require.Equal(t, i == 2, b.Reboot)
			quote, err := tdx.ParseQuote(b.Quote)
			require.NoError(t, err)
			require.Equal(t, quote.Registers, got.Registers())
			require.NotNil(t, b.Appraisal)
		}
		require.Equal(t, inprocess.Image{Version: stable.Version, Profile: profile}.Name(), got.Image.Name)
		require.Equal(t, digest.Of([]byte(files[release.RecordAsset(profile)])), got.Image.Digest)
		require.Equal(t, tdx.ProfileRTMR3(string(profile)), *got.RTMR3)
		seen[got.RTMR2] = true
	}
	require.Len(t, seen, 3, "RTMR2 tells the profiles apart")
}

// Law 3: "same bytes: skip and say so".
func TestRunAgainDoesNothing(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:promote"))
	before := releasetest.Records(t, dist, stable)
	p := opened(t, s.Root, dist, stable)
	require.NoError(t, p.Perform(t.Context(), "node:promote"))
	require.Zero(t, p.Writes.Load(), "nothing is written to GitHub")
	require.Equal(t, before, releasetest.Records(t, dist, stable), "nothing is added to the ledger")
	for _, step := range p.Run.Graph {
		require.Contains(t, p.Log.String(), step.Name+": already done, nothing to do")
	}
	requireReleased(t, p, dist)
}

// Everything that was staged is lost, and the release is made again from another
// folder: records and evidence, of which no second boot would be the same, are
// adopted, and what comes out is what is public.
func TestMadeAgainFromNothing(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a release that is made a second time")
	s := fixture.Stages(t)
	root, dist := filepath.Join(t.TempDir(), "elsewhere"), releasetest.From(t, s.After("node:promote"))
	require.NoError(t, releasetest.Repository("../../..", root))
	public := releasetest.Contents(t, releasetest.OnGitHub(dist, stable))
	require.NoError(t, os.RemoveAll(filepath.Join(dist, stable.String())))
	p := opened(t, root, dist, stable)
	require.NoError(t, p.Perform(t.Context(), "node:audit"), "%s", p.Log)
	require.Zero(t, p.Writes.Load(), "published bytes win: nothing is uploaded")
	require.Equal(t, public, releasetest.Contents(t, releasetest.Staged(dist, stable)))
	for _, profile := range release.Profiles() {
		name := inprocess.Image{Version: stable.Version, Profile: profile}.Name()
		require.Contains(t, p.Log.String(), name+" is there already")
		require.Contains(t, p.Log.String(), name+" was measured before; its evidence is public")
	}
}

// What was published is not taken for what was built: evidence of another image is measured anew.
func TestEvidenceOfAnotherImageIsNotAdopted(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:sign"))
	p := opened(t, s.Root, dist, stable)
	asset := release.EvidenceAsset(release.Debug)
	var changed evidence.Evidence
	decoded, err := evidence.DecodeEvidence([]byte(releasetest.Contents(t, releasetest.Staged(dist, stable))[asset]))
	require.NoError(t, err)
	changed = *decoded
	changed.Image = "mero-tee-debug-0-1-0-00000000"
	data, err := changed.Encode()
	require.NoError(t, err)
	forged := filepath.Join(t.TempDir(), asset)
	require.NoError(t, os.WriteFile(forged, data, 0o600))
	releasetest.Upload(t, p.GitHub(t), stable, p.Release.Checkout.Commit, forged)
	require.NoError(t, os.Remove(filepath.Join(releasetest.Staged(dist, stable), asset)))
	require.NoError(t, p.Run.PerformTarget(t.Context(), "node:measure", string(release.Debug)), "%s", p.Log)
	require.Contains(t, p.Log.String(), "node:measure/debug: two boots and a reboot agree")
	require.NotContains(t, p.Log.String(), "was measured before")
}

// Law 4: "a tag, once it has a release, never changes".
func TestSourcesChangedAfterPublishing(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:promote"))
	changed := func(p *process) error { // as content ids do when a role changes
		p.Env.Images = p.World.(*rehearsal.World).Simulated(release.Version{Minor: 7}, t.TempDir())
		return nil
	}
	p := opened(t, s.Root, dist, stable, changed)
	err := p.Perform(t.Context(), "node:promote")
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "mero-tee-v0.1.0 is published, and content has changed since")
	require.Zero(t, p.Writes.Load())
	require.Equal(t, releasetest.Contents(t, releasetest.OnGitHub(s.After("node:promote"), stable)),
		releasetest.Contents(t, releasetest.OnGitHub(dist, stable)))
}

// Law 2: whatever order Mage keeps, a step refuses, naming the missing one.
func TestSingleStepNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for target, tc := range map[string]struct{ stage, missing string }{
		"node:build":   {s.After(""), "node:version"},
		"node:measure": {s.After(""), "node:version"},
		"node:mrtds":   {s.After("node:build"), "node:measure/debug"},
		"node:sbom":    {s.After(""), "node:version"},
		"node:publish": {s.After("node:measure"), "node:mrtds"},
		"node:e2e":     {s.After("node:sign"), "node:publish"},
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			p := opened(t, s.Root, releasetest.From(t, tc.stage), stable)
			err := p.Run.PerformTarget(t.Context(), target, "")
			var blocked *pipeline.BlockedError
			require.ErrorAs(t, err, &blocked)
			require.Equal(t, tc.missing, blocked.Missing)
			require.Zero(t, p.Writes.Load())
		})
	}
}

// One profile, as `node:build -profile=debug` and `node:measure -profile=debug` do.
func TestOneProfile(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	p := opened(t, s.Root, dist, stable)
	require.NoError(t, p.Run.Perform(t.Context(), "node:version"))
	for _, target := range []string{"node:build", "node:measure"} {
		require.NoError(t, p.Run.PerformTarget(t.Context(), target, string(release.Debug)), "%s", p.Log)
	}
	require.ElementsMatch(t, []string{release.RecordAsset(release.Debug), release.EvidenceAsset(release.Debug)},
		slices.Collect(maps.Keys(releasetest.Contents(t, releasetest.Staged(dist, stable)))))
	err := p.Run.Perform(t.Context(), "node:mrtds")
	var blocked *pipeline.BlockedError
	require.ErrorAs(t, err, &blocked)
	require.Equal(t, "node:build/debug-read-only", blocked.Missing, "the first that is missing")

	err = p.Run.PerformTarget(t.Context(), "node:build", "production")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, `node:build has no part "production"`)
}

// taken are images of which somebody else has the name.
type taken struct {
	image.Images
	discarded []bool // whether the image, too, was to be deleted
}

func (i *taken) Build(context.Context, image.BuildRequest) (*image.Record, error) {
	return nil, os.ErrExist
}

func (i *taken) Discard(_ context.Context, _ image.BuildRequest, whole bool) error {
	i.discarded = append(i.discarded, whole)
	return nil
}

// An image that this release did not begin is not deleted, however often the step is tried.
func TestAnImageOfSomebodyElseStays(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	p := opened(t, s.Root, releasetest.From(t, s.After("")), stable)
	images := &taken{Images: p.Env.Images}
	p.Env.Images = images
	require.NoError(t, p.Run.Perform(t.Context(), "node:version"))
	for range 2 {
		require.ErrorIs(t, p.Run.PerformTarget(t.Context(), "node:build", string(release.Debug)), os.ErrExist)
	}
	require.Equal(t, []bool{false, false}, images.discarded)
}
