package workflow_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	kms     = "release-kms-phala.yaml"
	node    = "release-node-image-gcp.yaml"
	auditor = "release-auditor.yaml"
	guard   = "pr-doc-guard.yaml"
	ci      = "ci.yaml"
)

func TestWorkflows(t *testing.T) {
	t.Parallel()
	all := sources(t)
	require.ElementsMatch(t, []string{kms, node, auditor, guard, ci}, slices.Collect(maps.Keys(all)))
	for name, source := range all {
		require.Empty(t, judge(t, name, source), name)
	}
}

// The identity that the verifier wants is the workflow of the family, run for the tag.
func TestTheVerifiersIdentityIsAWorkflow(t *testing.T) {
	t.Parallel()
	all := sources(t)
	for _, f := range release.Families() {
		require.Contains(t, all, f.Workflow())
		tag := release.Tag{Family: f, Version: release.Version{Major: 1, Minor: 2}}
		id := signature.Identity{Repository: "o/r", Workflow: f.Workflow(), Tag: tag}
		require.Equal(t, "https://github.com/o/r/.github/workflows/"+f.Workflow()+"@refs/tags/"+string(f)+"-v1.2.0", id.SAN())
		require.Contains(t, all[f.Workflow()], `tags: ["`+string(f)+`-v*"]`)
	}
}

// One action has one version everywhere.
func TestOneVersionOfEachAction(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, source := range sources(t) {
		for line := range strings.Lines(source) {
			if _, action, ok := strings.Cut(strings.TrimSpace(line), "uses: "); ok {
				which, at, _ := strings.Cut(action, "@")
				if have, ok := seen[which]; ok {
					require.Equal(t, have, at, "%s in %s", which, name)
				}
				seen[which] = at
			}
		}
	}
	require.NotEmpty(t, seen)
}

// The pages and the auditor speak of these.
func TestWhatRunsWhen(t *testing.T) {
	t.Parallel()
	all := sources(t)
	for _, want := range []string{"workflows: [release-kms-phala, release-node-image-gcp]", "types: [published]", "cron:", "workflow_dispatch:"} {
		require.Contains(t, all[auditor], want)
	}
	require.NotContains(t, all[guard], "paths:", "a required check reports on every pull request")
	for _, p := range release.Profiles() {
		require.Regexp(t, `profile: \[.*\b`+string(p)+`\b.*\]`, all[node])
	}
}
