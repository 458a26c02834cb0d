package github_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

func several() github.Change {
	return github.Change{Base: "main", Branch: "policy/promote", Message: "Promote", Title: "Promote", Body: "why",
		Labels: []string{"policy-promotion"},
		Files:  map[string][]byte{"catalog/c.json": []byte("{\"a\":1}\n"), "docs/new.md": []byte("# New\n")}}
}

func TestProposeSeveralFilesIsIdempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	pr, err := c.Propose(t.Context(), several())
	require.NoError(t, err)
	require.Equal(t, 5, writes(w), "tree, commit, branch, pull request, label")
	again, err := c.Propose(t.Context(), several())
	require.NoError(t, err)
	require.Equal(t, pr, again)
	require.Zero(t, writes(w))

	updated := several()
	updated.Files["docs/new.md"] = []byte("# Newer\n")
	updated.Labels = append(updated.Labels, "second")
	again, err = c.Propose(t.Context(), updated)
	require.NoError(t, err)
	require.Equal(t, pr, again)
	require.Equal(t, 4, writes(w), "tree, commit, the branch moves, the new label")
	for path, want := range updated.Files {
		got, err := c.ReadFile(t.Context(), path, updated.Branch)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	untouched, err := c.ReadFile(t.Context(), "catalog/c.json", "main")
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(untouched))

	same := several()
	same.Files = map[string][]byte{"catalog/c.json": []byte("{}\n")}
	none, err := c.Propose(t.Context(), same)
	require.NoError(t, err)
	require.Zero(t, none, "the base holds this content already")
}

// Two pipelines race to open the same pull request: whatever order their
// requests come in, there is one in the end.
func TestRacingProposalsEndInOnePullRequest(t *testing.T) {
	t.Parallel()
	for _, ch := range []github.Change{several(), change()} {
		w := newWorld(t, nil)
		var wg sync.WaitGroup
		prs, errs := make([]github.PullRequest, 4), make([]error, 4)
		clients := make([]*github.Client, len(prs))
		for i := range prs {
			clients[i] = w.client(token)
		}
		for i := range prs {
			wg.Go(func() { prs[i], errs[i] = clients[i].Propose(t.Context(), ch) })
		}
		wg.Wait()
		for i := range prs {
			require.NoError(t, errs[i])
			require.Equal(t, prs[0], prs[i])
		}
		require.Positive(t, prs[0].Number)
	}
}

// The narrow places of that race, one by one: between looking and writing, somebody else does the same.
func TestProposeLosesEveryRaceGracefully(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"POST git/refs", "PATCH git/refs", "POST pulls", "POST issues"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			var first atomic.Pointer[func()]
			w := newWorld(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if isCall(r, at) {
						if f := first.Swap(nil); f != nil {
							(*f)()
						}
					}
					h.ServeHTTP(w, r)
				})
			})
			if at == "PATCH git/refs" { // a branch of an older proposal is there
				old := several()
				old.Files["docs/new.md"] = []byte("# Old\n")
				_, err := w.client(token).Propose(t.Context(), old)
				require.NoError(t, err)
			}
			rival, mine := w.client(token), w.client(token)
			var theirs github.PullRequest
			race := func() {
				var err error
				if theirs, err = rival.Propose(t.Context(), several()); err != nil {
					t.Error(err)
				}
			}
			first.Store(&race)
			pr, err := mine.Propose(t.Context(), several())
			require.NoError(t, err)
			require.Positive(t, theirs.Number, "the rival ran")
			require.Equal(t, theirs, pr)
		})
	}
}

func isCall(r *http.Request, call string) bool {
	path := strings.TrimPrefix(r.URL.Path, "/repos/"+repository+"/")
	return strings.HasPrefix(r.Method+" "+path, call)
}

func TestProposeSeveralSurvivesLostAnswers(t *testing.T) {
	t.Parallel()
	for nth := range int64(5) {
		w := newWorld(t, func(h http.Handler) http.Handler {
			lossy := rehearsal.Unavailable(h, rehearsal.Writes, 1, 502, true)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if rehearsal.Writes(r) && nth == 0 {
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
		pr, err := c.Propose(t.Context(), several())
		require.NoError(t, err)
		again, err := c.Propose(t.Context(), several())
		require.NoError(t, err)
		require.Equal(t, pr, again)
	}
}

// A branch that somebody else keeps moving is left to them.
func TestProposeGivesUpOnABusyBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if isCall(r, "PATCH git/refs") {
				http.Error(rw, `{"message":"Update is not a fast forward"}`, http.StatusUnprocessableEntity)
				return
			}
			h.ServeHTTP(rw, r)
		})
	})
	_, err := w.client(token).Propose(t.Context(), several())
	require.NoError(t, err)
	changed := several()
	changed.Files["docs/new.md"] = []byte("other\n")
	_, err = w.client(token).Propose(t.Context(), changed)
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "propose a change of")
}

func TestProposeSeveralRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*github.Change){
		"outside":  func(ch *github.Change) { ch.Files["../x"] = []byte("x") },
		"not text": func(ch *github.Change) { ch.Files["docs/new.md"] = []byte{0xff} },
		"two ways": func(ch *github.Change) { ch.Path = "docs/other.md" },
	} {
		w, ch := newWorld(t, nil), several()
		change(&ch)
		_, err := w.client(token).Propose(t.Context(), ch)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		require.Zero(t, writes(w), name)
	}
}
