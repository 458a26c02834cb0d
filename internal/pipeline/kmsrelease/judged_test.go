package kmsrelease_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// moves are variables that somebody sets while the release is under way.
func moves() map[string]func(*config.Config) {
	return map[string]func(*config.Config){
		"the next node release": func(c *config.Config) { c.TEEVersion = release.Version{Major: 9} },
		"the next key service":  func(c *config.Config) { c.KMSVersion = release.Version{Major: 9} },
		"none": func(c *config.Config) {
			c.KMSVersion, c.TEEVersion = release.Version{}, release.Version{}
		},
		"another profile":          func(c *config.Config) { c.Profile = release.Debug },
		"another registry":         func(c *config.Config) { c.Registry = "ghcr.io/somebody" },
		"another place of catalog": func(c *config.Config) { c.CatalogPath = "docs/catalog.json" },
		"another project":          func(c *config.Config) { c.GCPProject = "somebody-else" },
	}
}

// "A repository variable that moves while an approval is pending changes nothing."
func TestWhatWasJudgedStaysJudged(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, move := range moves() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After("kms:e2e"))
			p := fixture.Opened(t, s.Root, dist, stable, releasetest.Configured(move))
			before := len(p.Release.Ledger.Records())
			require.NoError(t, p.Perform(t.Context(), "kms:promote"), "%s", p.Log)
			for _, r := range p.Release.Ledger.Records()[before:] {
				require.Contains(t, []string{"kms:propose", "kms:promote"}, r.Step, "nothing is judged or made again")
			}
			rel, err := p.GitHub(t).ReleaseByTag(t.Context(), stable.String())
			require.NoError(t, err)
			require.False(t, rel.Prerelease)
			for _, title := range p.Pulls(t) {
				require.Contains(t, title, "mero-tee-v0.1.0", "the pair is the one that was judged")
			}
		})
	}
}

// Before the guards have passed, and for another tag, the variables count as they are.
func TestWhatWasNotJudgedIsJudgedNow(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	moved := releasetest.Configured(func(c *config.Config) { c.KMSVersion = release.Version{Major: 9} })

	fresh := releasetest.From(t, s.After(""))
	p := fixture.Opened(t, s.Root, fresh, stable, moved)
	refused(t, p, fresh, fault.Verification, "guard 2: version sync")
	require.NoError(t, p.Close())

	// The guards said no, the variable is mended, and they say yes.
	p = fixture.Opened(t, s.Root, fresh, stable)
	require.NoError(t, p.Run.Perform(t.Context(), "kms:version"), "%s", p.Log)

	released := releasetest.From(t, s.After("kms:promote"))
	other := release.Tag{Family: release.KMS, Version: release.Version{Minor: 2}}
	p = fixture.Opened(t, s.Root, released, other, moved)
	require.Equal(t, release.Version{Major: 9}, p.Env.Config.KMSVersion)
	require.Equal(t, fault.Verification, fault.CodeOf(p.Run.Perform(t.Context(), "kms:version")))
	require.NoDirExists(t, releasetest.OnGitHub(released, other))
	require.NoFileExists(t, filepath.Join(releasetest.Staged(released, other), release.ChecksumsAsset))
}
