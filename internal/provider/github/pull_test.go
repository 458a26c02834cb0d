package github_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

func change() github.Change {
	return github.Change{Base: "main", Branch: "catalog/mero-kms-v1.2.0", Path: "catalog/c.json",
		Content: []byte("{\"a\":1}\n"),
		Message: "Record mero-kms-v1.2.0", Title: "Catalog: mero-kms-v1.2.0", Body: "tested"}
}

func writes(w *world) (n int) {
	for _, r := range w.requests {
		if rehearsal.Writes(r) {
			n++
		}
	}
	w.requests = nil
	return n
}

func TestProposeIsIdempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	pr, err := c.Propose(t.Context(), change())
	require.NoError(t, err)
	require.Positive(t, pr.Number)
	require.Equal(t, 3, writes(w), "branch, file, pull request")
	again, err := c.Propose(t.Context(), change())
	require.NoError(t, err)
	require.Equal(t, pr, again)
	require.Zero(t, writes(w))
	updated := change()
	updated.Content = []byte("{\"a\":2}\n")
	again, err = c.Propose(t.Context(), updated)
	require.NoError(t, err)
	require.Equal(t, pr, again)
	require.Equal(t, 1, writes(w), "the file alone")
	same := change()
	same.Content = []byte("{}\n")
	none, err := c.Propose(t.Context(), same)
	require.NoError(t, err)
	require.Zero(t, none, "the base holds this content already")
	fresh := change()
	fresh.Path, fresh.Branch = "catalog/new.json", "catalog/other"
	other, err := c.Propose(t.Context(), fresh)
	require.NoError(t, err)
	require.NotEqual(t, pr.Number, other.Number)
}

// Every write may be lost before or after it had its effect; the next run ends in one pull request.
func TestProposeSurvivesAKillAnywhere(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for n := range int64(3) {
			var server http.Handler
			w := newWorld(t, func(h http.Handler) http.Handler {
				server = h
				killed := rehearsal.KillAfter(h, rehearsal.Writes, n, after)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("User-Agent") == "revived" {
						server.ServeHTTP(w, r)
						return
					}
					killed.ServeHTTP(w, r)
				})
			})
			_, err := w.client(token).Propose(t.Context(), change())
			require.Error(t, err)
			w.transport = revived{w.transport}
			_, err = w.client(token).Propose(t.Context(), change())
			require.NoError(t, err, "after %d writes", n)
			w.requests = nil
			_, err = w.client(token).Propose(t.Context(), change())
			require.NoError(t, err)
			require.Zero(t, writes(w), "one pull request with the content")
		}
	}
}

// revived is a client of the next run, which the killed server answers again.
type revived struct{ next http.RoundTripper }

func (r revived) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", "revived")
	return r.next.RoundTrip(req)
}

func TestProposeSurvivesLostAnswers(t *testing.T) {
	t.Parallel()
	for nth := range int64(3) {
		lose := func(r *http.Request) bool { return rehearsal.Writes(r) && nth == 0 }
		w := newWorld(t, func(h http.Handler) http.Handler {
			lossy := rehearsal.Unavailable(h, rehearsal.Writes, 1, 502, true)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if lose(r) {
					lossy.ServeHTTP(w, r)
					return
				}
				if rehearsal.Writes(r) {
					nth--
				}
				h.ServeHTTP(w, r)
			})
		})
		c := w.client(token)
		pr, err := c.Propose(t.Context(), change())
		require.NoError(t, err)
		again, err := c.Propose(t.Context(), change())
		require.NoError(t, err)
		require.Equal(t, pr, again)
	}
}

// A label that may not be made does not spoil the pull request.
func TestALabelThatMayNotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, func(o *rehearsal.Options) { o.ActionsOpenPulls = true })
	job, err := w.server.JobToken(map[string]string{"contents": "write", "pull-requests": "write"})
	require.NoError(t, err)
	pr, err := w.client(job).Propose(t.Context(), several())
	require.NoError(t, err)
	require.Equal(t, several().Labels, pr.Unlabelled)
	theirs, err := w.client(token).Propose(t.Context(), several())
	require.NoError(t, err)
	require.Equal(t, pr.Number, theirs.Number)
	require.Empty(t, theirs.Unlabelled, "who may write issues makes it")
	pr, err = w.client(job).Propose(t.Context(), several())
	require.NoError(t, err)
	require.Equal(t, theirs, pr)
}

// The setting that forbids pull requests of workflows is named.
func TestPullRequestsThatActionsMayNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	job, err := w.server.JobToken(map[string]string{"contents": "write", "pull-requests": "write"})
	require.NoError(t, err)
	_, err = w.client(job).Propose(t.Context(), change())
	var told *fault.Error
	require.ErrorAs(t, err, &told)
	require.Equal(t, "GitHub Actions is not permitted to create or approve pull requests.", told.Got)
	require.Contains(t, told.Hint, "Settings, Actions, General")
}

func TestProposeRefusesPathsOutside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, path := range []string{"../../other/repo/contents/x", "a/../b", "", "/etc/passwd", "a//b"} {
		ch := change()
		ch.Path = path
		_, err := w.client(token).Propose(t.Context(), ch)
		require.Equal(t, fault.Usage, fault.CodeOf(err), path)
	}
	require.Empty(t, w.requests)
	ch := change()
	ch.Base = "nowhere"
	_, err := w.client(token).Propose(t.Context(), ch)
	require.ErrorIs(t, err, github.ErrNotFound)
}
