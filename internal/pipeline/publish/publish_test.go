package publish_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/publish"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

func TestTheThreeMoves(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), plan(t)
	r := w.run(nil)
	rel, result, err := r.Fill(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, publish.Result{Uploaded: p.Names}, result)
	require.True(t, rel.Draft)
	require.Equal(t, noted(p.Notes, commit), rel.Body)
	require.Equal(t, []string{"begin draft " + rel.TagName, "end draft " + rel.TagName, "begin upload a.json",
		"end upload a.json",
		"begin upload checksums.sha256", "end upload checksums.sha256"}, r.events)

	audited := publish.Digests(rel)
	require.Len(t, audited, 2)
	rel, err = r.MakePublic(t.Context(), rel)
	require.NoError(t, err)
	require.True(t, !rel.Draft && rel.Prerelease)
	_, err = r.GitHub.Latest(t.Context())
	require.ErrorIs(t, err, github.ErrNotFound, "never the latest before promotion")
	at, err := r.GitHub.TagCommit(t.Context(), rel.TagName)
	require.NoError(t, err)
	require.Equal(t, commit, at)

	rel, err = r.Promote(t.Context(), rel, audited, approval)
	require.NoError(t, err)
	require.False(t, rel.Prerelease)
	require.Equal(t, approved(p.Notes, commit), rel.Body)
	latest, err := r.GitHub.Latest(t.Context())
	require.NoError(t, err)
	require.Equal(t, rel.ID, latest.ID)

	again := w.run(nil)
	_, result, err = again.Fill(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, publish.Result{Kept: p.Names}, result)
	_, err = again.MakePublic(t.Context(), rel)
	require.NoError(t, err)
	_, err = again.Promote(t.Context(), rel, audited, approval)
	require.NoError(t, err)
	require.Empty(t, again.events, "nothing is done twice")
}

// "Intent before a side effect": where it cannot be written, nothing changes.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	p := plan(t)
	told := p
	told.Notes = "other notes"
	for name, tc := range map[string]struct {
		done int // moves that were made before
		move func(*run, context.Context, *github.Release) error
	}{
		"no draft is made": {0, func(r *run, ctx context.Context, _ *github.Release) error {
			_, _, err := r.Fill(ctx, p)
			return err
		}},
		"nothing is uploaded": {1, func(r *run, ctx context.Context, _ *github.Release) error {
			_, _, err := r.Fill(ctx, p)
			return err
		}},
		"no draft is changed": {2, func(r *run, ctx context.Context, _ *github.Release) error {
			_, _, err := r.Fill(ctx, told)
			return err
		}},
		"nothing becomes public": {2, func(r *run, ctx context.Context, rel *github.Release) error {
			_, err := r.MakePublic(ctx, rel)
			return err
		}},
		"nothing is promoted": {3, func(r *run, ctx context.Context, rel *github.Release) error {
			_, err := r.Promote(ctx, rel, publish.Digests(rel), approval)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			rel := w.moved(p, tc.done)
			var writes atomic.Int64
			full := w.run(func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if rehearsal.Writes(r) {
						writes.Add(1)
					}
					h.ServeHTTP(rw, r)
				})
			})
			full.full = syscall.ENOSPC
			require.ErrorIs(t, tc.move(full, t.Context(), rel), syscall.ENOSPC)
			require.Zero(t, writes.Load())
			require.Len(t, full.events, 1, "the first intent is the last")
		})
	}
}

// moved is the release after so many moves: a draft without assets, a full draft, a pre-release.
func (w *world) moved(p publish.Plan, moves int) *github.Release {
	w.t.Helper()
	var rel *github.Release
	var err error
	r := w.run(nil)
	switch moves {
	case 1:
		rel, err = r.GitHub.CreateDraft(w.t.Context(),
			github.Draft{Tag: p.Tag.String(), Title: p.Title, Notes: noted(p.Notes, p.Commit)})
	case 2, 3:
		rel, _, err = r.Fill(w.t.Context(), p)
	}
	require.NoError(w.t, err)
	if moves == 3 {
		rel, err = r.MakePublic(w.t.Context(), rel)
		require.NoError(w.t, err)
	}
	return rel
}

// Kill the publisher after every request, before or after the request had its
// effect; the next run must end in the very same release.
func TestKilledAnywhereAndRunAgain(t *testing.T) {
	t.Parallel()
	every := func(*http.Request) bool { return true }
	for _, after := range []bool{false, true} {
		require.Greater(t, killedAndRunAgain(t, every, after, prompt), 15, "the matrix covers every request")
	}
}

// Where reads are late, the next run finds what the killed one wrote all the same.
func TestKilledAtAWriteAndRunAgainBeforeItIsSeen(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		require.Equal(t, 5, killedAndRunAgain(t, rehearsal.Writes, after), "draft, two uploads, publication, promotion")
	}
}

// killedAndRunAgain says how many runs were killed until one was not.
func killedAndRunAgain(t *testing.T, match rehearsal.Match, after bool, change ...func(*rehearsal.Options)) int {
	t.Helper()
	for n := int64(0); ; n++ {
		w, p := newWorld(t, change...), plan(t)
		_, err := w.run(func(h http.Handler) http.Handler { return rehearsal.KillAfter(h, match, n, after) }).
			all(t.Context(), p)
		if err == nil {
			return int(n)
		}
		rel, err := w.run(nil).all(t.Context(), p)
		require.NoError(t, err, "killed after %d requests", n)
		w.requireFinal(p, rel)
	}
}

// requireFinal compares everything that is left with what a run without faults leaves.
func (w *world) requireFinal(p publish.Plan, rel *github.Release) {
	w.t.Helper()
	all, err := w.run(nil).GitHub.Releases(w.t.Context())
	require.NoError(w.t, err)
	require.Len(w.t, all, 1)
	require.Equal(w.t, p.Tag.String(), rel.TagName)
	require.True(w.t, !rel.Draft && !rel.Prerelease)
	require.Equal(w.t, approved(p.Notes, commit), rel.Body, "who approved is said once, before the commit")
	require.Len(w.t, rel.Assets, len(p.Names))
	folders, err := os.ReadDir(filepath.Join(w.dir, "releases"))
	require.NoError(w.t, err)
	require.Len(w.t, folders, 1)
	files, err := os.ReadDir(filepath.Join(w.dir, "releases", p.Tag.String()))
	require.NoError(w.t, err)
	require.Len(w.t, files, len(p.Names))
	for _, name := range p.Names {
		want, err := os.ReadFile(filepath.Join(p.Dir, name))
		require.NoError(w.t, err)
		got, err := os.ReadFile(filepath.Join(w.dir, "releases", p.Tag.String(), name))
		require.NoError(w.t, err)
		require.Equal(w.t, want, got)
	}
}

func TestFaultsThatPass(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(http.Handler) http.Handler{
		"uploads cut half way": func(h http.Handler) http.Handler { return rehearsal.CutUploads(h, 2) },
		"secondary rate limit": func(h http.Handler) http.Handler { return rehearsal.RateLimited(h, rehearsal.Writes, 2, 1) },
		"bad gateway": func(h http.Handler) http.Handler {
			return rehearsal.Unavailable(h, rehearsal.Writes, 3, 502, false)
		},
		"answers lost": func(h http.Handler) http.Handler { return rehearsal.Unavailable(h, rehearsal.Writes, 1, 504, true) },
		"reads unavailable": func(h http.Handler) http.Handler {
			return rehearsal.Unavailable(h, func(r *http.Request) bool { return !rehearsal.Writes(r) }, 3, 500, false)
		},
		"everything, now and on": func(h http.Handler) http.Handler {
			return rehearsal.CutUploads(rehearsal.RateLimited(h, rehearsal.Writes, 1, 1), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := newWorld(t), plan(t)
			rel, err := w.run(fault).all(t.Context(), p)
			require.NoError(t, err)
			w.requireFinal(p, rel)
		})
	}
}

func TestAnUploadLeftBrokenByAnEarlierRunIsReplaced(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), plan(t)
	_, _, err := w.run(func(h http.Handler) http.Handler {
		return rehearsal.CutUploads(rehearsal.KillAfter(h, rehearsal.Writes, 2, false), 9)
	}).Fill(t.Context(), p)
	require.Error(t, err)
	r := w.run(nil)
	_, result, err := r.Fill(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, p.Names, result.Uploaded)
	require.Contains(t, r.events, "end broken asset a.json")
}

func TestOtherBytesUnderTheSameNameAreNeverOverwritten(t *testing.T) {
	t.Parallel()
	for _, public := range []bool{false, true} {
		for what, content := range map[string]string{"same size": "CONTENT of a.json\n", "other size": "x"} {
			t.Run(fmt.Sprintf("public %t, %s", public, what), func(t *testing.T) {
				t.Parallel()
				w, p := newWorld(t), plan(t)
				rel, _, err := w.run(nil).Fill(t.Context(), p)
				require.NoError(t, err)
				if public {
					_, err = w.run(nil).MakePublic(t.Context(), rel)
					require.NoError(t, err)
				}
				require.NoError(t, os.WriteFile(filepath.Join(p.Dir, "a.json"), []byte(content), 0o644))
				r := w.run(nil)
				_, _, err = r.Fill(t.Context(), p)
				var told *fault.Error
				require.ErrorAs(t, err, &told)
				require.Equal(t, fault.Verification, told.Code)
				require.Contains(t, told.Expected, fmt.Sprintf("(%d bytes)", len(content)))
				require.Contains(t, told.Got, "(18 bytes)")
				require.Empty(t, r.events, "judged before anything is changed")
			})
		}
	}
}

func TestFillRefuses(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("b", 40)
	for name, c := range map[string]struct {
		code    fault.Code
		got     string
		prepare func(t *testing.T, w *world, p *publish.Plan)
	}{
		"a draft of another commit": {fault.Verification, other, func(t *testing.T, w *world, p *publish.Plan) {
			w.draft(p.Tag.String(), other)
		}},
		"several drafts": {fault.Verification, "(id 5, draft true", func(_ *testing.T, w *world, p *publish.Plan) {
			w.draft(p.Tag.String(), commit)
			w.draft(p.Tag.String(), commit)
		}},
		"a tag at another commit": {fault.Verification, other, func(t *testing.T, w *world, p *publish.Plan) {
			w.untag(p.Tag)
			require.NoError(t, w.server.Push("refs/tags/"+p.Tag.String(), other, nil))
		}},
		"no tag": {fault.Verification, "no such tag", func(_ *testing.T, w *world, p *publish.Plan) { w.untag(p.Tag) }},
		"a draft that names no commit": {fault.Verification, "it names none", func(t *testing.T, w *world, p *publish.Plan) {
			w.draft(p.Tag.String(), "main")
		}},
		"an asset too many": {fault.Verification, "extra.txt", func(t *testing.T, w *world, p *publish.Plan) {
			_, _, err := w.run(nil).Fill(t.Context(), *p)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(p.Dir, "extra.txt"), []byte("x"), 0o644))
			with := *p
			with.Names = append([]string{"extra.txt"}, p.Names...)
			_, _, err = w.run(nil).Fill(t.Context(), with)
			require.NoError(t, err)
		}},
		"an asset missing from a public release": {fault.MissingAsset, "", func(t *testing.T, w *world, p *publish.Plan) {
			rel, _, err := w.run(nil).Fill(t.Context(), *p)
			require.NoError(t, err)
			_, err = w.run(nil).MakePublic(t.Context(), rel)
			require.NoError(t, err)
			require.NoError(t, os.Remove(filepath.Join(w.dir, "releases", p.Tag.String(), "a.json")))
		}},
		"a file that is not staged": {fault.MissingAsset, "", func(t *testing.T, _ *world, p *publish.Plan) {
			require.NoError(t, os.Remove(filepath.Join(p.Dir, "a.json")))
		}},
		"an empty file": {fault.MissingAsset, "", func(t *testing.T, _ *world, p *publish.Plan) {
			require.NoError(t, os.WriteFile(filepath.Join(p.Dir, "a.json"), nil, 0o644))
		}},
		"a symbolic link": {fault.MissingAsset, "", func(t *testing.T, _ *world, p *publish.Plan) {
			require.NoError(t, os.Symlink("a.json", filepath.Join(p.Dir, "link")))
			p.Names = append(p.Names, "link")
		}},
		"a path": {fault.Usage, "../a.json",
			func(_ *testing.T, _ *world, p *publish.Plan) { p.Names = []string{"../a.json"} }},
		"a name twice": {fault.Usage, "a.json",
			func(_ *testing.T, _ *world, p *publish.Plan) { p.Names = []string{"a.json", "a.json"} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := newWorld(t), plan(t)
			c.prepare(t, w, &p)
			r := w.run(nil)
			_, _, err := r.Fill(t.Context(), p)
			var told *fault.Error
			require.ErrorAs(t, err, &told)
			require.Equal(t, c.code, told.Code, told)
			require.Contains(t, told.Got, c.got)
			require.Empty(t, r.events)
		})
	}
}

func (w *world) draft(tag, commit string) *github.Release {
	w.t.Helper()
	rel, err := w.run(nil).GitHub.CreateDraft(w.t.Context(),
		github.Draft{Tag: tag, Title: "t", Notes: noted("n", commit)})
	require.NoError(w.t, err)
	return rel
}

func TestADraftsNotesAreBroughtUpToDateAPublicReleasesAreNot(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), plan(t)
	_, _, err := w.run(nil).Fill(t.Context(), p)
	require.NoError(t, err)
	p.Notes = "other notes"
	rel, result, err := w.run(nil).Fill(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, p.Names, result.Kept)
	require.Equal(t, noted("other notes", commit), rel.Body)
	_, err = w.run(nil).MakePublic(t.Context(), rel)
	require.NoError(t, err)
	p.Notes = "too late"
	rel, _, err = w.run(nil).Fill(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, noted("other notes", commit), rel.Body)
}
