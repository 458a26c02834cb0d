package github_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/github"
)

func TestShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	url, err := c.Share(t.Context(), change())
	require.NoError(t, err)
	require.Equal(t, 2, writes(w), "branch and file, no pull request")
	again, err := c.Share(t.Context(), change())
	require.NoError(t, err)
	require.Equal(t, url, again)
	require.Zero(t, writes(w))

	stranger := &http.Client{Transport: w.transport}
	resp, err := stranger.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, string(change().Content), string(data))

	require.NoError(t, c.Unshare(t.Context(), change().Branch))
	require.NoError(t, c.Unshare(t.Context(), change().Branch), "it is gone already")
	_, err = c.Share(t.Context(), change())
	require.NoError(t, err, "the branch can be made anew")
}

func TestShareNeedsABaseAndARightToWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	orphan := change()
	orphan.Base = "nowhere"
	_, err := w.client(token).Share(t.Context(), orphan)
	require.ErrorContains(t, err, "share")
	_, err = w.client("").Share(t.Context(), change())
	require.Error(t, err)
	require.Error(t, w.client("").Unshare(t.Context(), "main"))
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	data, err := w.client("").ReadFile(t.Context(), "catalog/c.json", "main")
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(data))
	for _, at := range [][2]string{{"catalog/none.json", "main"}, {"catalog/c.json", "none"}} {
		_, err = w.client("").ReadFile(t.Context(), at[0], at[1])
		require.ErrorIs(t, err, github.ErrNotFound)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client("")
	names, err := c.Folder(t.Context(), "catalog", "main")
	require.NoError(t, err)
	require.Contains(t, names, "c.json")
	for _, at := range [][2]string{{"none", "main"}, {"catalog", "none"}} {
		names, err = c.Folder(t.Context(), at[0], at[1])
		require.NoError(t, err)
		require.Empty(t, names)
	}
	_, err = c.Folder(t.Context(), "catalog/c.json", "main")
	require.Error(t, err, "a file is no folder")

	many := map[string][]byte{"many/deeper/a.json": []byte("{}")}
	for i := range 1001 {
		many[fmt.Sprintf("many/%04d.json", i)] = []byte("{}")
	}
	_, err = w.server.Merge("many", many)
	require.NoError(t, err)
	names, err = c.Folder(t.Context(), "many", "main")
	require.NoError(t, err)
	require.Len(t, names, 1001, "a list of its contents ends after 1,000")
	names, err = c.Folder(t.Context(), "many/deeper", "main")
	require.NoError(t, err)
	require.Equal(t, []string{"a.json"}, names)
}

// A folder of which not everything is listed is an error, never a shorter list.
func TestAFolderThatIsNotListedWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.Handler) http.Handler {
		return answered(`{"sha":"a","tree":[{"path":"many","type":"tree","sha":"b"}],"truncated":true}`)
	})
	_, err := w.client("").Folder(t.Context(), "many", "main")
	require.ErrorContains(t, err, "more entries than GitHub lists")
}

// A rule of the repository that keeps a branch is told with the status of a branch that is gone.
func TestABranchThatMayNotBeDeletedIsNotGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h http.Handler) http.Handler {
		return inWords(h, asked("DELETE", "/git/refs/heads/"+change().Branch), 1, http.StatusUnprocessableEntity,
			"Repository rule violations found\\n\\nCannot delete this branch")
	})
	c := w.client(token)
	_, err := c.Share(t.Context(), change())
	require.NoError(t, err)
	require.ErrorContains(t, c.Unshare(t.Context(), change().Branch), "Cannot delete this branch")
	require.NoError(t, c.Unshare(t.Context(), change().Branch))
	require.NoError(t, c.Unshare(t.Context(), change().Branch), "it is gone already")
}

// GitHub shows a file of more than 1 MB without its content.
func TestALargeFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	large := []byte("{\"notes\":\"" + strings.Repeat("0123456789", 120_000) + "\"}\n")
	_, err := w.server.Merge("large", map[string][]byte{"catalog/large.json": large})
	require.NoError(t, err)
	c := w.client(token)
	data, err := c.ReadFile(t.Context(), "catalog/large.json", "main")
	require.NoError(t, err)
	require.Equal(t, string(large), string(data))
	held := github.Change{Base: "main", Branch: "topic", Files: map[string][]byte{"catalog/large.json": large},
		Message: "m", Title: "t"}
	pr, err := c.Propose(t.Context(), held)
	require.NoError(t, err)
	require.Zero(t, pr.Number, "the base holds it")
	held.Files["catalog/large.json"] = append(large, '\n')
	for range 2 {
		pr, err = c.Propose(t.Context(), held)
		require.NoError(t, err)
		require.NotZero(t, pr.Number)
	}
	topic, err := c.ReadFile(t.Context(), "catalog/large.json", "topic")
	require.NoError(t, err)
	require.Equal(t, string(large)+"\n", string(topic))
}
