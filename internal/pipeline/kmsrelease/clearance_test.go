package kmsrelease_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

// "Must pass CI checks": a red one stops the rehearsed release as it would the real one.
func TestCIFailed(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	p := fixture.Opened(t, s.Root, dist, stable)
	require.NoError(t, p.World.(*rehearsal.World).GitHub().Report(github.Check{Commit: p.Release.Checkout.Commit,
		Name: "ci", App: github.Actions, Conclusion: "failure"}))
	refused(t, p, dist, fault.Verification, "CI: ci: it did not succeed")
}

// "Requires release-auditor approval": nobody's word, and the rehearsed release stays a pre-release.
func TestNobodyApproved(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	p := fixture.Opened(t, s.Root, releasetest.From(t, s.After("kms:e2e")), stable)
	p.World.(*rehearsal.World).Reviewing(func(int64) error { return nil })
	require.NoError(t, p.Run.Perform(t.Context(), "kms:propose"), "%s", p.Log)
	err := p.Run.Perform(t.Context(), "kms:promote")
	require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
	require.Contains(t, p.Log.String(), "approval: by somebody else than who pushed the tag: nobody else has approved it")
	rel, err := p.GitHub(t).ReleaseByTag(t.Context(), stable.String())
	require.NoError(t, err)
	require.True(t, rel.Prerelease)
}
