package github_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// branched makes a branch from the head of main, with one file of its own, and opens its pull request.
func (w *world) branched(t *testing.T, branch, path, content string) int64 {
	t.Helper()
	head := w.do("GET", api+"git/ref/heads/main", "").json(t)["object"].(map[string]any)["sha"].(string)
	made := w.owner("POST", api+"git/refs", `{"ref":"refs/heads/`+branch+`","sha":"`+head+`"}`)
	require.Equal(t, http.StatusCreated, made.status, "%s", made.body)
	w.committed(t, branch, path, content)
	pull := w.owner("POST", api+"pulls", `{"title":"t","head":"`+branch+`","base":"main","body":""}`)
	require.Equal(t, http.StatusCreated, pull.status, "%s", pull.body)
	return int64(pull.json(t)["number"].(float64))
}

// committed puts a file on a branch; others are parents besides the branch's head, the last of which gives the tree.
func (w *world) committed(t *testing.T, branch, path, content string, others ...string) {
	t.Helper()
	head := w.do("GET", api+"git/ref/heads/"+branch, "").json(t)["object"].(map[string]any)["sha"].(string)
	parents := append([]string{head}, others...)
	on := w.do("GET", api+"git/commits/"+parents[len(parents)-1], "").json(t)["tree"].(map[string]any)["sha"].(string)
	tree := w.owner("POST", api+"git/trees", `{"base_tree":"`+on+`","tree":[{"path":"`+path+
		`","mode":"100644","type":"blob","content":"`+content+`"}]}`)
	require.Equal(t, http.StatusCreated, tree.status, "%s", tree.body)
	list, err := json.Marshal(parents)
	require.NoError(t, err)
	made := w.owner("POST", api+"git/commits", `{"message":"m","tree":"`+tree.json(t)["sha"].(string)+`","parents":`+
		string(list)+`}`)
	require.Equal(t, http.StatusCreated, made.status, "%s", made.body)
	require.Len(t, made.json(t)["parents"], len(parents))
	moved := w.owner("PATCH", api+"git/refs/heads/"+branch, `{"sha":"`+made.json(t)["sha"].(string)+`","force":false}`)
	require.Equal(t, http.StatusOK, moved.status, "%s", moved.body)
}

// What the base changed meanwhile stays; what both changed is a conflict, until the branch takes the base in.
func TestAPullRequestIsMergedFromWhereItLeftItsBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	one := w.branched(t, "one", "a.json", "1")
	two := w.branched(t, "two", "b.json", "2")
	merge := func(number int64) {
		t.Helper()
		files, err := w.server.MergePull(number)
		require.NoError(t, err)
		require.Len(t, files, 1, "the branch's own change alone")
		_, err = w.server.Merge("merged", files)
		require.NoError(t, err)
	}
	_, err := w.server.Merge("meanwhile", map[string][]byte{"c.json": []byte("main's"), "b.json": []byte("main's")})
	require.NoError(t, err)
	merge(one)
	require.Equal(t, http.StatusOK, w.do("GET", api+"contents/c.json?ref=main", "").status)
	_, err = w.server.MergePull(two)
	require.ErrorContains(t, err, "not mergeable: both changed b.json")
	_, err = w.server.MergePull(one)
	require.Error(t, err, "it is closed")

	main := w.do("GET", api+"git/ref/heads/main", "").json(t)["object"].(map[string]any)["sha"].(string)
	w.committed(t, "two", "b.json", "both", main)
	merge(two)
	require.Equal(t, "Ym90aA==", w.do("GET", api+"contents/b.json?ref=main", "").json(t)["content"])
	require.Equal(t, http.StatusOK, w.do("GET", api+"contents/a.json?ref=main", "").status)

	three := w.owner("POST", api+"git/commits", `{"message":"m","tree":"ff","parents":["`+sha+`","ff"]}`)
	require.Equal(t, http.StatusUnprocessableEntity, three.status)
}

func TestAPullRequestThatWasClosedWasNotMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	merged, declined := w.branched(t, "one", "a.json", "1"), w.branched(t, "two", "b.json", "2")
	_, err := w.server.MergePull(merged)
	require.NoError(t, err)
	require.NoError(t, w.server.ClosePull(declined))
	require.Error(t, w.server.ClosePull(declined), "once")
	var all []struct {
		Number   int64
		State    string
		MergedAt *string `json:"merged_at"`
		ClosedAt *string `json:"closed_at"`
	}
	require.NoError(t, json.Unmarshal(w.owner("GET", api+"pulls?state=all", "").body, &all))
	require.Len(t, all, 2)
	for _, p := range all {
		require.Equal(t, "closed", p.State)
		require.NotNil(t, p.ClosedAt)
		require.Equal(t, p.Number == merged, p.MergedAt != nil)
	}
}
