package noderelease_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// down are nodes of which none boots.
type down struct{}

func (down) Boot(context.Context, *measurement.Published, release.Profile, agent.Mission) (*agent.Report, error) {
	return nil, errors.New("no node boots today")
}

func (down) Reboot(context.Context, *measurement.Published, release.Profile, agent.Mission,
	agent.Mission) (out [2]*agent.Report, err error) {
	return out, errors.New("no node boots today")
}

func (down) Left(context.Context) ([]string, error) { return nil, nil }

// bootNoneIn lets no node of a purpose boot.
func bootNoneIn(p *process, purpose string) {
	nodes := p.Env.Nodes
	p.Env.Nodes = func(which, run string, j journal.Journal) agent.Machines {
		if which == purpose {
			return down{}
		}
		return nodes(which, run, j)
	}
}

// A candidate says what it goes without: the second opinion and the end-to-end
// test. It is released and audited all the same, and stays a pre-release.
func TestCandidate(t *testing.T) {
	releasetest.Long(t, "a whole release of a candidate")
	t.Parallel()
	s := fixture.Stages(t)
	tag := stable
	tag.Version.Candidate = 1
	dist := releasetest.From(t, s.After(""))
	p := opened(t, s.Root, dist, tag, func(p *process) error { p.Env.ITA.Key = ""; return nil })
	bootNoneIn(p, "e2e")
	require.NoError(t, p.Perform(t.Context(), "node:promote"), "%s", p.Log)
	log := p.Log.String()
	require.Contains(t, log,
		"[WARN] node:measure/debug: appraisal by Intel Trust Authority skipped: nobody to ask: ITA_API_KEY is not set")
	require.Contains(t, log, "E2E is advisory for a release candidate")
	require.Contains(t, log, "no catalog entry is proposed")
	require.Contains(t, log, "stays a pre-release")
	require.Empty(t, p.pulls(t))
	rel, err := p.GitHub(t).ReleaseByTag(t.Context(), tag.String())
	require.NoError(t, err)
	require.True(t, rel.Prerelease)
	require.Len(t, rel.Assets, len(release.Node.ExpectedAssets()))
	latest, err := p.GitHub(t).Latest(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, tag.String(), latest.TagName, "`latest` did not move")
	evidence, err := evidence.DecodeEvidence(
		[]byte(releasetest.Contents(t, releasetest.OnGitHub(dist, tag))[release.EvidenceAsset(release.Debug)]))
	require.NoError(t, err)
	require.Nil(t, evidence.Boots[0].Appraisal)
}

// A stable release whose nodes do not get their keys is public, and is not promoted.
func TestStableDoesNotPassItsTrial(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:audit"))
	p := opened(t, s.Root, dist, stable)
	bootNoneIn(p, "e2e")
	err := p.Perform(t.Context(), "node:promote")
	require.ErrorContains(t, err, "node:e2e")
	require.Contains(t, p.Log.String(), "no node boots today")
	require.Empty(t, p.pulls(t))
	rel, err := p.GitHub(t).ReleaseByTag(t.Context(), stable.String())
	require.NoError(t, err)
	require.True(t, rel.Prerelease)
	var blocked *pipeline.BlockedError
	require.ErrorAs(t, p.Run.Perform(t.Context(), "node:promote"), &blocked)
}

// "Then release:kms uses this node release as its counterpart instead of the seeded one."
func TestTheKeyServiceThatFollows(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a release of the other family")
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:promote"))
	p := opened(t, s.Root, dist, stable)
	kms := release.Tag{Family: release.KMS, Version: stable.Version}
	p.Env.Config.KMSVersion = kms.Version
	r, err := kmsrelease.Open(t.Context(), p.Env, kms, console.New(p.Log, false))
	require.NoError(t, err)
	defer r.Close()
	run := &pipeline.Run{Graph: r.Graph(), Ledger: r.Ledger, Console: r.Console}
	require.NoError(t, run.All(t.Context()), "%s", p.Log)
	require.NotContains(t, p.Log.String(), "releasing the simulated counterpart "+stable.String())
	published, err := measurement.Decode(
		[]byte(releasetest.Contents(t, releasetest.OnGitHub(dist, stable))[release.MeasurementsAsset]))
	require.NoError(t, err)
	for _, profile := range release.Profiles() {
		policy, err := policies.Decode(
			[]byte(releasetest.Contents(t, releasetest.OnGitHub(dist, kms))[release.PolicyAsset(profile)]))
		require.NoError(t, err)
		var names []string
		for _, m := range policy.Measurements {
			names = append(names, m.NodeRelease.String())
			if m.NodeRelease == stable {
				require.Equal(t, published.Profiles[profile].Registers(), m.Registers)
			}
		}
		require.Contains(t, names, stable.String())
	}
	latest, err := p.GitHub(t).Latest(t.Context())
	require.NoError(t, err)
	require.Equal(t, kms.String(), latest.TagName)
}

// The SBOM lists what the records do, and no record without its program passes.
func TestAProgramThatIsNotTheOneInTheImage(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:build"))
	p := opened(t, s.Root, dist, stable, func(p *process) error {
		p.Env.Images = otherPrograms{p.Env.Images.(inprocess.Images), t.TempDir()}
		return nil
	})
	err := p.Run.Perform(t.Context(), "node:sbom")
	require.ErrorContains(t, err, "mero-agent is not the one in the image")
	require.NotContains(t, releasetest.Contents(t, releasetest.Staged(dist, stable)), release.SBOMAsset)
}

// otherPrograms hands over another program under the agent's name.
type otherPrograms struct {
	inprocess.Images
	dir string
}

func (o otherPrograms) Programs(context.Context, release.Profile) (string, error) {
	return o.dir, os.WriteFile(filepath.Join(o.dir, "mero-agent"), []byte("another"), 0o600)
}
