package github_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheRepositoryAsItsCallerSeesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	const at = "https://api.github.com/repos/" + repository
	mine := w.owner("GET", at, "")
	require.Equal(t, http.StatusOK, mine.status)
	require.Equal(t, "repo, workflow", mine.header.Get("X-OAuth-Scopes"))
	require.Equal(t, true, mine.json(t)["permissions"].(map[string]any)["push"])

	strangers := w.do("GET", at, "")
	require.NotContains(t, strangers.json(t), "permissions")
	require.Empty(t, strangers.header.Get("X-OAuth-Scopes"))
	require.Equal(t, http.StatusNotFound, w.do("GET", at+"-other", "").status)
}
