package github_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABranchOnlyMovesForward(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	commit := func(parent, content string) string {
		t.Helper()
		on := w.do("GET", api+"git/commits/"+parent, "").json(t)["tree"].(map[string]any)["sha"].(string)
		tree := w.owner("POST", api+"git/trees",
			`{"base_tree":"`+on+`","tree":[{"path":"n.json","mode":"100644","type":"blob","content":"`+content+`"}]}`)
		require.Equal(t, http.StatusCreated, tree.status, "%s", tree.body)
		made := w.owner("POST", api+"git/commits", `{"message":"`+content+`","tree":"`+tree.json(t)["sha"].(string)+
			`","parents":["`+parent+`"]}`)
		require.Equal(t, http.StatusCreated, made.status, "%s", made.body)
		return made.json(t)["sha"].(string)
	}
	move := func(to, force string) int {
		return w.owner("PATCH", api+"git/refs/heads/main", `{"sha":"`+to+`","force":`+force+`}`).status
	}
	one, other := commit(sha, "1"), commit(sha, "2")
	require.Equal(t, http.StatusOK, move(one, "false"))
	require.Equal(t, http.StatusUnprocessableEntity, move(other, "false"), "no fast forward")
	require.Equal(t, http.StatusOK, move(other, "true"))
	require.Equal(t, http.StatusUnprocessableEntity, move("ff", "false"))
	file := w.do("GET", api+"contents/n.json?ref=main", "")
	require.Equal(t, "Mg==", file.json(t)["content"])
	require.Equal(t, http.StatusOK, w.do("GET", api+"contents/catalog/c.json?ref=main", "").status,
		"what the base tree holds stays")
}

func TestTreesAndCommitsOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	for name, tc := range map[string]struct {
		path, body string
		status     int
	}{
		"base tree": {"git/trees", `{"base_tree":"ff","tree":[{"path":"a","mode":"100644","type":"blob","content":""}]}`,
			http.StatusNotFound},
		"no entries": {"git/trees", `{"tree":[]}`, http.StatusUnprocessableEntity},
		"a link": {"git/trees", `{"tree":[{"path":"a","mode":"120000","type":"blob","content":""}]}`,
			http.StatusUnprocessableEntity},
		"tree": {"git/commits", `{"message":"m","tree":"ff","parents":["` + sha + `"]}`,
			http.StatusUnprocessableEntity},
		"labels":      {"issues/1/labels", `{"labels":["a"]}`, http.StatusNotFound},
		"empty label": {"issues/1/labels", `{"labels":[""]}`, http.StatusUnprocessableEntity},
	} {
		require.Equal(t, tc.status, w.owner("POST", api+tc.path, tc.body).status, name)
		require.Equal(t, http.StatusUnauthorized, w.do("POST", api+tc.path, tc.body).status, name)
	}
	require.Equal(t, http.StatusNotFound, w.do("GET", api+"git/commits/ff", "").status)
}
