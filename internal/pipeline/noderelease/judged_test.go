package noderelease_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Variables move while the profiles' jobs run on machines of their own, each at
// another time: every job takes what was judged, so that what they did fits together.
func TestVariablesMoveBetweenTheJobs(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	first := releasetest.From(t, s.After(""))
	p := opened(t, s.Root, first, stable)
	require.NoError(t, p.Run.Perform(t.Context(), "node:version"), "%s", p.Log)
	require.NoError(t, p.Close())

	var jobs []string
	for profile, move := range map[release.Profile]func(*config.Config){
		release.Debug:          func(c *config.Config) { c.KMSVersion = release.Version{Major: 9} },
		release.DebugReadOnly:  func(c *config.Config) { c.TEEVersion = release.Version{Major: 9} },
		release.LockedReadOnly: func(c *config.Config) { c.GCPProject, c.GCPFamily = "somebody-else", "other" },
	} {
		dist := releasetest.From(t, first)
		p := opened(t, s.Root, dist, stable, configured(move))
		require.NoError(t, p.Run.PerformTarget(t.Context(), "node:build", string(profile)), "%s", p.Log)
		require.NoError(t, p.Close())
		jobs = append(jobs, steps.Dir(dist, stable))
	}

	p = opened(t, s.Root, first, stable, configured(func(c *config.Config) {
		c.KMSVersion, c.TEEVersion = release.Version{}, release.Version{}
	}))
	require.NoError(t, p.Release.Ledger.Merge(p.Run.Graph, jobs))
	before := len(p.Release.Ledger.Records())
	require.NoError(t, p.Run.PerformTarget(t.Context(), "node:build", ""))
	require.Len(t, p.Release.Ledger.Records(), before, "nothing is built or judged again")
}

// "A repository variable that moves while an approval is pending changes nothing."
func TestWhatWasJudgedStaysJudged(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, move := range map[string]func(*config.Config){
		"the next key service": func(c *config.Config) { c.KMSVersion = release.Version{Major: 9} },
		"the next node images": func(c *config.Config) { c.TEEVersion = release.Version{Major: 9} },
		"another catalog":      func(c *config.Config) { c.CatalogPath = "docs/catalog.json" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After("node:e2e"))
			p := opened(t, s.Root, dist, stable, configured(move))
			require.NoError(t, p.Perform(t.Context(), "node:promote"), "%s", p.Log)
			rel, err := p.GitHub(t).ReleaseByTag(t.Context(), stable.String())
			require.NoError(t, err)
			require.False(t, rel.Prerelease)
			for _, title := range p.pulls(t) {
				require.Contains(t, title, stable.String())
			}
		})
	}
}
