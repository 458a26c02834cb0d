package github_test

import (
	"fmt"
	"net/http"
	"strings"
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

func TestAFolderIsListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	files := map[string][]byte{"catalog/a.json": []byte("{}"), "catalog/evidence/b.json": []byte("{}"),
		"catalog/evidence/c.json": []byte("{}"), "catalogue/d.json": []byte("{}")}
	for i := range 1001 {
		files[fmt.Sprintf("many/%04d.json", i)] = []byte("{}")
	}
	require.NoError(t, w.server.Push("refs/heads/main", strings.Repeat("a", 40), files))
	const at = "https://api.github.com/repos/" + repository + "/contents/"
	list := w.do("GET", at+"catalog?ref=main", "").list(t)
	require.Len(t, list, 2, "what lies below is one entry")
	require.Equal(t, "file", list[0]["type"])
	require.NotContains(t, list[0], "content")
	require.Equal(t, "dir", list[1]["type"])
	require.Equal(t, "catalog/evidence", list[1]["path"])
	require.Len(t, w.do("GET", at+"many?ref=main", "").list(t), 1000, "GitHub lists no more and does not say so")
	require.Equal(t, http.StatusNotFound, w.do("GET", at+"none?ref=main", "").status)
	require.Equal(t, http.StatusNotFound, w.do("GET", at+"catalog?ref=none", "").status)
}
