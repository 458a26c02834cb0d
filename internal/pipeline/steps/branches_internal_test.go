package steps

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// A test that was killed leaves the branch with its policies: it is found by the ledger, and no other is touched.
func TestBranchesLeftOpen(t *testing.T) {
	t.Parallel()
	const repository = "calimero-network/mero-tee"
	server, err := local.New(local.Options{Dir: t.TempDir(), Repository: repository, Token: "ghp_x"})
	require.NoError(t, err)
	commit := strings.Repeat("a", 40)
	for _, branch := range []string{"main", "e2e/run-1", "e2e/run-3"} {
		require.NoError(t, server.Push("refs/heads/"+branch, commit, nil))
	}
	net := network.New()
	t.Cleanup(func() { require.NoError(t, net.Close()) })
	for _, host := range local.Hosts() {
		require.NoError(t, net.Handle(host, server))
	}
	c, err := github.New(github.Options{Repository: repository, Token: "ghp_x", Transport: net.Transport()})
	require.NoError(t, err)
	there := func(branch string) bool { _, err := c.Head(context.Background(), branch); return err == nil }

	begun := func(branch string) pipeline.Record {
		return pipeline.Record{Step: "e2e", Event: pipeline.Intent, Kind: journal.Branch, Subject: branch}
	}
	records := []pipeline.Record{begun("e2e/run-1"), begun("e2e/run-2"), begun("main")}
	found, err := SweepBranches(t.Context(), c, records, false)
	require.ErrorContains(t, err, "a ledger's branch")
	require.Equal(t, []string{"e2e/run-1"}, found, "the second one is gone")
	require.True(t, there("e2e/run-1"))

	found, err = SweepBranches(t.Context(), c, records, true)
	require.ErrorContains(t, err, "a ledger's branch")
	require.Equal(t, []string{"e2e/run-1"}, found)
	require.False(t, there("e2e/run-1"))
	require.True(t, there("e2e/run-3"), "of a test that goes on")
	require.True(t, there("main"))
	found, err = SweepBranches(t.Context(), c, records[:2], true)
	require.NoError(t, err)
	require.Empty(t, found)
}
