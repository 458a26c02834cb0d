package workflow_test

import (
	"testing"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal"
)

// A rehearsed release asks GitHub for nothing that no job of its workflow may.
func TestTheRehearsalHasTheRightsOfTheJobs(t *testing.T) {
	t.Parallel()
	flow, errs := actionlint.Parse([]byte(sources(t)["release-kms-phala.yaml"]))
	require.Empty(t, errs)
	rights := map[string]string{}
	for _, job := range flow.Jobs {
		for name, scope := range job.Permissions.Scopes {
			if rights[name] != "write" {
				rights[name] = scope.Value.Value
			}
		}
	}
	require.Equal(t, rights, rehearsal.JobPermissions())
}
