package github

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// "There is a limit of 1000 statuses per sha and context within a repository."
func TestAContextHasSoManyStatuses(t *testing.T) {
	t.Parallel()
	said := func(n int) *state {
		return &state{Statuses: slices.Repeat([]*status{{SHA: "a", Context: "release-auditor"}}, n)}
	}
	require.False(t, said(999).saidOften("a", "release-auditor"))
	require.True(t, said(1000).saidOften("a", "release-auditor"))
	require.False(t, said(1000).saidOften("a", "ci"), "of another context")
	require.False(t, said(1000).saidOften("b", "release-auditor"), "of another commit")
}
