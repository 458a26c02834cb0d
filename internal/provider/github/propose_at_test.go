package github_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// from is a change that was made from what main holds now.
func (w *world) from(c *github.Client, content string) github.Change {
	w.t.Helper()
	at, err := c.Head(w.t.Context(), "main")
	require.NoError(w.t, err)
	ch := change()
	ch.Path, ch.Content, ch.At = "", nil, at
	ch.Files = map[string][]byte{"catalog/c.json": []byte(content), "docs/c.md": []byte(content)}
	return ch
}

func (w *world) read(c *github.Client, path, ref string) string {
	w.t.Helper()
	data, err := c.ReadFile(w.t.Context(), path, ref)
	require.NoError(w.t, err)
	return string(data)
}

// A branch starts at the commit from which its files were made, wherever main is
// by then, and takes the newer main in when they are made anew.
func TestAChangeStartsWhereItsFilesWereMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	ch := w.from(c, "1\n")
	_, err := w.server.Merge("theirs", map[string][]byte{"catalog/c.json": []byte("theirs\n"), "new.md": []byte("new\n")})
	require.NoError(t, err)
	pr, err := c.Propose(t.Context(), ch)
	require.NoError(t, err)
	_, err = c.ReadFile(t.Context(), "new.md", ch.Branch)
	require.ErrorIs(t, err, github.ErrNotFound, "it starts before the other merge")
	_, err = w.server.MergePull(int64(pr.Number))
	require.ErrorContains(t, err, "not mergeable", "the other merge is not written over")

	newer := w.from(c, "theirs and 1\n")
	again, err := c.Propose(t.Context(), newer)
	require.NoError(t, err)
	require.Equal(t, pr.Number, again.Number)
	require.Equal(t, "new\n", w.read(c, "new.md", ch.Branch), "it took main in")
	writes(w)
	_, err = c.Propose(t.Context(), newer)
	require.NoError(t, err)
	require.Zero(t, writes(w), "once")
	corrected := newer
	corrected.Files = map[string][]byte{"catalog/c.json": []byte("theirs and 1\n"), "docs/c.md": []byte("2\n")}
	_, err = c.Propose(t.Context(), corrected)
	require.NoError(t, err)
	files, err := w.server.MergePull(int64(pr.Number))
	require.NoError(t, err)
	require.Len(t, files, 2)
}

// A commit of somebody else on the branch is not written over.
func TestABranchThatPeopleWorkOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	ch := w.from(c, "1\n")
	_, err := c.Propose(t.Context(), ch)
	require.NoError(t, err)
	theirs := github.Change{Base: "main", Branch: ch.Branch, Path: "catalog/c.json", Content: []byte("theirs\n"),
		Message: "Mend it"}
	_, err = c.Share(t.Context(), theirs)
	require.NoError(t, err)
	_, err = c.Propose(t.Context(), ch)
	require.ErrorIs(t, err, github.ErrEdited)
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.Equal(t, "theirs\n", w.read(c, "catalog/c.json", ch.Branch))
}

func TestProposals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	var numbers []int
	for _, branch := range []string{"catalog/a", "catalog/b", "catalog/c", "other/d"} {
		ch := w.from(c, branch)
		ch.Branch = branch
		pr, err := c.Propose(t.Context(), ch)
		require.NoError(t, err)
		numbers = append(numbers, pr.Number)
	}
	_, err := w.server.MergePull(int64(numbers[0]))
	require.NoError(t, err)
	require.NoError(t, w.server.ClosePull(int64(numbers[1])))
	all, err := c.Proposals(t.Context(), "main", "catalog/")
	require.NoError(t, err)
	var got []string
	for _, p := range all {
		state := strings.TrimSpace(map[bool]string{true: "open "}[p.Open] + map[bool]string{true: "merged"}[p.Merged])
		got = append(got, strings.TrimSpace(p.Branch+" "+state))
	}
	require.Equal(t, []string{"catalog/c open", "catalog/b", "catalog/a merged"}, got, "newest first")
	none, err := c.Proposals(t.Context(), "elsewhere", "")
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = c.Head(t.Context(), "none")
	require.ErrorIs(t, err, github.ErrNotFound)
	stranger := w.client("wrong")
	_, err = stranger.Proposals(t.Context(), "main", "")
	require.Equal(t, fault.General, fault.CodeOf(err), "could not look is not none")
}
