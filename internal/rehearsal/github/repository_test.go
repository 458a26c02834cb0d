package github_test

import (
	"encoding/base64"
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

// A folder's tree lists everything in it. A file of more than 1 MB is shown without its content, which its blob has.
func TestTreesAndBlobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	large := strings.Repeat("0123456789", 100_001)
	files := map[string][]byte{"catalog/large.json": []byte(large), "catalog/evidence/b.json": []byte("{}")}
	for i := range 1001 {
		files[fmt.Sprintf("many/%04d.json", i)] = []byte("{}")
	}
	require.NoError(t, w.server.Push("refs/heads/main", strings.Repeat("a", 40), files))
	entries := func(sha string) map[string]map[string]any {
		out := map[string]map[string]any{}
		for _, e := range w.do("GET", api+"git/trees/"+sha, "").json(t)["tree"].([]any) {
			entry := e.(map[string]any)
			out[entry["path"].(string)] = entry
		}
		return out
	}
	root := entries("main")
	require.Len(t, root, 2)
	require.Equal(t, "tree", root["many"]["type"])
	require.Len(t, entries(root["many"]["sha"].(string)), 1001)
	catalog := entries(root["catalog"]["sha"].(string))
	require.Contains(t, entries(catalog["evidence"]["sha"].(string)), "b.json")
	require.Equal(t, http.StatusNotFound, w.do("GET", api+"git/trees/none", "").status)

	shown := w.do("GET", api+"contents/catalog/large.json?ref=main", "").json(t)
	require.Equal(t, []any{"none", "", float64(len(large))}, []any{shown["encoding"], shown["content"], shown["size"]})
	require.Equal(t, shown["sha"], catalog["large.json"]["sha"])
	blob := w.do("GET", api+"git/blobs/"+shown["sha"].(string), "").json(t)
	content, err := base64.StdEncoding.DecodeString(blob["content"].(string))
	require.NoError(t, err)
	require.Equal(t, large, string(content))
	require.Equal(t, http.StatusNotFound, w.do("GET", api+"git/blobs/none", "").status)
}
