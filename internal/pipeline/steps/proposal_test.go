package steps_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// repository is what several releases share: one GitHub.
type repository struct {
	*world
	t      *testing.T
	pushed int
}

func newRepository(t *testing.T, pairs ...string) *repository {
	t.Helper()
	r := &repository{world: open(t, "mero-kms-v0.0.1"), t: t}
	files := map[string][]byte{catalog.Path: r.catalog(pairs...), catalog.PagePath: []byte("# Pairs\n"),
		"README.md": []byte("# R\n")}
	require.NoError(t, r.github.Push("refs/heads/main", strings.Repeat("a", 40), files))
	return r
}

// catalog has an entry for each "KMS NODE NOTE", declared, or "KMS NODE tested NOTE".
func (r *repository) catalog(pairs ...string) []byte {
	r.t.Helper()
	c := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion, Entries: []catalog.Entry{}}
	var err error
	for _, p := range pairs {
		f := append(strings.SplitN(p, " ", 3), "")
		pair := catalog.Pair{KMS: version(r.t, f[0]), NodeImage: version(r.t, f[1])}
		if note, tested := strings.CutPrefix(f[2], "tested"); tested {
			c, err = catalog.MarkTested(c, pair, release.Profiles(), strings.TrimSpace(note))
		} else {
			c, err = catalog.Declare(c, pair, f[2])
		}
		require.NoError(r.t, err)
	}
	data, err := c.Encode()
	require.NoError(r.t, err)
	return data
}

func version(t *testing.T, s string) release.Version {
	t.Helper()
	v, err := release.ParseVersion(s)
	require.NoError(t, err)
	return v
}

// merge is somebody's pull request, merged.
func (r *repository) merge(files map[string][]byte) {
	r.t.Helper()
	_, err := r.github.Merge(fmt.Sprintf("somebody's change %d", r.pushed), files)
	require.NoError(r.t, err)
	r.pushed++
}

// mergeBranch is the pull request of a release, merged by a person.
func (r *repository) mergeBranch(tag string) error {
	r.t.Helper()
	files, err := r.github.MergePull(int64(r.proposal(tag).Number))
	if err == nil {
		r.merge(files)
	}
	return err
}

// proposal is the newest pull request of a release.
func (r *repository) proposal(tag string) github.Proposal {
	r.t.Helper()
	all, err := r.GitHub.Proposals(r.t.Context(), "main", "catalog/"+tag)
	require.NoError(r.t, err)
	for _, p := range all {
		if p.Branch == "catalog/"+tag {
			return p
		}
	}
	return github.Proposal{}
}

func (r *repository) file(path, ref string) string {
	r.t.Helper()
	data, err := r.GitHub.ReadFile(r.t.Context(), path, ref)
	require.NoError(r.t, err)
	return string(data)
}

// listed are the pairs on a branch, "KMS NODE tested note".
func (r *repository) listed(ref string) (out []string) {
	r.t.Helper()
	c, err := catalog.Decode([]byte(r.file(catalog.Path, ref)))
	require.NoError(r.t, err)
	for _, e := range c.Entries {
		state := ""
		if e.Tested {
			state = " tested"
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s%s %s", e.KMS, e.NodeImage, state, e.Notes)))
	}
	return out
}

// Two releases are under way at once, others merge, and an old line gets its
// hotfix: nothing that was merged is lost, whichever is merged first.
func TestTwoReleasesThreeMergesAndAHotfix(t *testing.T) {
	t.Parallel()
	repo := newRepository(t, "1.0.0 1.0.0 tested first", "1.1.0 1.0.0 of kms", "1.0.0 1.1.0 of node", "0.9.0 0.9.0 old")
	require.NoError(t, repo.github.Push("refs/tags/mero-kms-v1.0.0", strings.Repeat("a", 40), nil))
	kms := repo.release(trial{tag: "mero-kms-v1.1.0", counterpart: "mero-tee-v1.0.0"})
	node := repo.release(trial{tag: "mero-tee-v1.1.0", counterpart: "mero-kms-v1.0.0"})
	// A first merge, after both tags: a pair more, another note, one pair taken out, and a page.
	repo.merge(map[string][]byte{catalog.Path: repo.catalog("1.0.0 1.0.0 tested first", "1.1.0 1.0.0 of kms, edited",
		"1.0.0 1.1.0 of node", "2.0.0 2.0.0 planned"), "README.md": []byte("# S\n")})
	require.NoError(t, kms.propose(t))
	require.NoError(t, node.propose(t))
	require.Equal(t, []string{"2.0.0 2.0.0 planned", "1.1.0 1.0.0 tested of kms, edited", "1.0.0 1.1.0 of node",
		"1.0.0 1.0.0 tested first"}, repo.listed("catalog/mero-kms-v1.1.0"))
	// A second merge: the first release's. The other one is a conflict then, and is brought up to date.
	require.NoError(t, repo.mergeBranch("mero-kms-v1.1.0"))
	require.ErrorContains(t, repo.mergeBranch("mero-tee-v1.1.0"), "not mergeable")
	require.NoError(t, node.propose(t))
	// The hotfix of an old line: its branch declared its pair, main never had it.
	hotfix := repo.release(trial{tag: "mero-kms-v1.0.1", counterpart: "mero-tee-v1.0.0", hotfixOf: "mero-kms-v1.0.0",
		pairs: []string{"1.0.0 1.0.0 tested first", "1.0.1 1.0.0 INC-1", "0.9.0 0.9.0 old"}})
	require.NoError(t, hotfix.propose(t))
	require.NoError(t, repo.mergeBranch("mero-tee-v1.1.0"))
	require.ErrorContains(t, repo.mergeBranch("mero-kms-v1.0.1"), "not mergeable")
	require.NoError(t, hotfix.propose(t))
	// A third merge, of something else, is no conflict.
	repo.merge(map[string][]byte{"README.md": []byte("# T\n")})
	require.NoError(t, repo.mergeBranch("mero-kms-v1.0.1"))

	require.Equal(t, []string{"2.0.0 2.0.0 planned", "1.1.0 1.0.0 tested of kms, edited", "1.0.1 1.0.0 tested INC-1",
		"1.0.0 1.1.0 tested of node", "1.0.0 1.0.0 tested first"}, repo.listed("main"))
	require.Equal(t, "# T\n", repo.file("README.md", "main"))
	for _, tag := range []string{"mero-kms-v1.1.0", "mero-tee-v1.1.0", "mero-kms-v1.0.1"} {
		require.Contains(t, repo.file("docs/releases/"+tag+".md", "main"), "## Compatible versions")
		require.True(t, repo.proposal(tag).Merged)
	}
	for _, r := range []*world{kms, node, hotfix} { // and again: there is nothing left to say
		require.NoError(t, r.propose(t))
		require.Contains(t, r.log.String(), "nothing to propose")
		require.True(t, repo.proposal(r.Tag.String()).Merged, "no second pull request")
	}
}

// The pipeline's own pull request passes the guard that it has to pass.
func TestTheProposalPassesGuardOne(t *testing.T) {
	t.Parallel()
	repo := newRepository(t, "1.0.0 2.0.0 first")
	path := releases.Path(release.Tag{Family: release.KMS, Version: release.Version{Major: 1}})
	repo.merge(map[string][]byte{
		path: []byte("# mero-kms-v1.0.0\n\n## Breaking changes\n\nOne.\n\n## Upgrade path\n\nTwo.\n")})
	r := repo.release(trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"})
	require.NoError(t, r.propose(t))
	results := repo.guardOne("catalog/mero-kms-v1.0.0", path)
	require.NoError(t, results.Err())
	require.Equal(t, []check.Status{check.Passed, check.Passed}, []check.Status{results[0].Status, results[1].Status})
	// What people wrote is still there, and is read as before.
	written, read := notes.Read(r.Tag, release.Stable, []byte(repo.file(path, "catalog/mero-kms-v1.0.0")))
	require.NoError(t, read.Err())
	require.Equal(t, "One.", written.Sections[notes.BreakingChanges])
	require.Equal(t, "- mero-kms-v1.0.0 with mero-tee-v2.0.0: tested in debug, debug-read-only, locked-read-only",
		written.Sections[notes.Compatible])
}

// guardOne lays main and the branch into a git repository and judges the difference.
func (r *repository) guardOne(branch, notesPath string) check.Results {
	r.t.Helper()
	dir := r.t.TempDir()
	run := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Env = git.Environment()
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(r.t, err, "%s", out)
	}
	lay := func(ref string) {
		for _, name := range []string{catalog.Path, catalog.PagePath, catalog.PicturePath, notesPath, "README.md"} {
			data, err := r.GitHub.ReadFile(r.t.Context(), name, ref)
			if err != nil {
				require.ErrorIs(r.t, err, github.ErrNotFound)
				continue
			}
			require.NoError(r.t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
			require.NoError(r.t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
		run("add", "-A")
		run("commit", "-q", "-m", ref)
	}
	run("init", "-q", "-b", "main")
	lay("main")
	run("switch", "-q", "-c", "topic")
	lay(branch)
	p, err := guard.ProposedSince(r.t.Context(), dir, "main", catalog.Path)
	require.NoError(r.t, err)
	require.NotContains(r.t, p.Files, "README.md", "nothing but the change's own files")
	require.Equal(r.t, git.Modified, p.Files[catalog.Path])
	return guard.Docs(p)
}

func TestWhatTheProposalSays(t *testing.T) {
	t.Parallel()
	repo := newRepository(t, "1.0.0 2.0.0 first")
	r := repo.release(trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"})
	require.NoError(t, r.propose(t))
	require.Contains(t, r.log.String(), "proposed in pull request #")
	body := repo.body()
	for _, words := range []string{"E2E of mero-kms-v1.0.0 against mero-tee-v2.0.0 passed",
		"https://github.com/calimero-network/mero-tee/releases/tag/mero-kms-v1.0.0",
		"https://github.com/calimero-network/mero-tee/actions/runs/4711", "close it and open it again",
		"| 1.0.0 | 2.0.0 | debug, debug-read-only, locked-read-only |", "`docs/releases/mero-kms-v1.0.0.md`"} {
		require.Contains(t, body, words)
	}
	require.Contains(t, repo.file(catalog.PagePath, "catalog/mero-kms-v1.0.0"), "| 1.0.0 | 2.0.0 |")
	require.Contains(t, repo.file(catalog.PicturePath, "catalog/mero-kms-v1.0.0"), "tested")
}

func (r *repository) body() string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet,
		"https://api.github.com/repos/"+config.DefaultRepository+"/pulls?state=all", nil)
	require.NoError(r.t, err)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "a test")
	resp, err := (&http.Client{Transport: r.Env.Transport}).Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return string(text)
}

// A merge that comes while the change is made is not lost, and the change is made again.
func TestTheBaseMovesMeanwhile(t *testing.T) {
	t.Parallel()
	repo := newRepository(t, "1.0.0 2.0.0 first")
	r := repo.release(trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"})
	moves := 1
	r.Release.GitHub = repo.watched(func(req *http.Request) {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/git/trees") && moves > 0 {
			moves--
			repo.merge(map[string][]byte{catalog.Path: repo.catalog("1.0.0 2.0.0 first", "0.9.0 2.0.0 theirs")})
		}
	})
	require.NoError(t, r.propose(t))
	require.Equal(t, []string{"1.0.0 2.0.0 tested first", "0.9.0 2.0.0 theirs"}, repo.listed("catalog/mero-kms-v1.0.0"))
	require.NoError(t, repo.mergeBranch("mero-kms-v1.0.0"), "it starts where the base is now")

	// A base that never stands still ends in words.
	repo = newRepository(t, "1.0.0 2.0.0 first")
	r = repo.release(trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"})
	r.Release.GitHub = repo.watched(func(req *http.Request) {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/git/trees") {
			moves++
			repo.merge(map[string][]byte{catalog.Path: repo.catalog("1.0.0 2.0.0 first", fmt.Sprintf("0.%d.0 2.0.0", moves))})
		}
	})
	err := r.propose(t)
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "main moves while the catalog's change is made")
}

// A job that is run again does nothing twice, and brings up to date what others left behind.
func TestTheStepIsRunAgainWhenOthersMerged(t *testing.T) {
	t.Parallel()
	repo := newRepository(t, "1.0.0 2.0.0 first")
	r := repo.release(trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"})
	next := 0
	run := func() string {
		t.Helper()
		before := r.log.Len()
		run := pipeline.Run{Ledger: r.Ledger, Console: r.Console, Graph: pipeline.Graph{
			{Name: "kms:propose", Title: "proposing", Do: r.ProposeCatalog, Outputs: r.ProposalState},
			{Name: "kms:promote", Title: "promoting", Needs: []string{"kms:propose"},
				Do: func(context.Context, *pipeline.Work) error { next++; return nil }}}}
		require.NoError(t, run.All(t.Context()))
		return r.log.String()[before:]
	}
	require.Contains(t, run(), "proposed in pull request")
	require.Equal(t, 2, strings.Count(run(), "already done, nothing to do"))
	repo.merge(map[string][]byte{"README.md": []byte("# S\n")})
	require.Equal(t, 2, strings.Count(run(), "already done, nothing to do"), "others' merges are no matter of it")
	repo.merge(map[string][]byte{catalog.Path: repo.catalog("1.0.0 2.0.0 first", "0.9.0 2.0.0 theirs")})
	require.Contains(t, run(), "proposed in pull request")
	require.NoError(t, repo.mergeBranch("mero-kms-v1.0.0"))
	require.Equal(t, []string{"1.0.0 2.0.0 tested first", "0.9.0 2.0.0 theirs"}, repo.listed("main"))
	require.Equal(t, 2, strings.Count(run(), "already done, nothing to do"), "it is merged")
	require.Equal(t, 1, next, "what follows is done once")
}

// watched is a client whose requests are seen before they are sent.
func (r *repository) watched(see func(*http.Request)) *github.Client {
	r.t.Helper()
	c, err := github.New(github.Options{Repository: config.DefaultRepository, Token: token,
		Transport: seeing{see, r.Env.Transport}})
	require.NoError(r.t, err)
	return c
}

type seeing struct {
	see  func(*http.Request)
	next http.RoundTripper
}

func (s seeing) RoundTrip(r *http.Request) (*http.Response, error) {
	s.see(r)
	return s.next.RoundTrip(r)
}

// What stops a proposal, and with it the promotion.
func TestProposalsThatAreNotMade(t *testing.T) {
	t.Parallel()
	stable := trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"}
	failed := stable
	failed.failed = true
	for name, tc := range map[string]struct {
		trial trial
		then  func(*repository, *world)
		code  fault.Code
		says  string
	}{
		"E2E did not pass": {failed, func(*repository, *world) {}, fault.Verification, "E2E of mero-kms-v1.0.0 did not pass"},
		"its pair was taken out": {stable, func(r *repository, _ *world) {
			r.merge(map[string][]byte{catalog.Path: r.catalog("0.9.0 2.0.0")})
		}, fault.Verification, "was taken out of the catalog"},
		"people said no": {stable, func(r *repository, rel *world) {
			require.NoError(r.t, rel.propose(r.t))
			require.NoError(r.t, r.github.ClosePull(int64(r.proposal("mero-kms-v1.0.0").Number)))
		}, fault.Verification, "the catalog update was declined"},
		"main's catalog is broken": {stable, func(r *repository, _ *world) {
			r.merge(map[string][]byte{catalog.Path: []byte("{")})
		}, fault.Verification, "not a compatibility catalog"},
		"main has none": {stable, func(_ *repository, rel *world) { rel.Env.Config.CatalogPath = "none.json" },
			fault.MissingAsset, "there is no compatibility catalog on GitHub"},
		"the notes cannot take it": {stable, func(r *repository, _ *world) {
			r.merge(map[string][]byte{"docs/releases/mero-kms-v1.0.0.md": []byte("# mero-kms-v1.0.0\n\n```\nopen\n")})
		}, fault.Verification, "a code block is not closed"},
		"no record of E2E": {stable, func(r *repository, rel *world) {
			require.NoError(r.t, os.Remove(rel.Work(steps.E2EFile)))
		}, fault.General, "e2e.json"},
		"GitHub does not answer": {stable, func(r *repository, rel *world) {
			var err error
			rel.Release.GitHub, err = github.New(github.Options{Repository: config.DefaultRepository, Token: "wrong",
				Transport: r.Env.Transport})
			require.NoError(r.t, err)
		}, fault.General, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := newRepository(t, "1.0.0 2.0.0 first")
			r := repo.release(tc.trial)
			tc.then(repo, r)
			err := r.propose(t)
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
			require.False(t, repo.proposal("mero-kms-v1.0.0").Open)
		})
	}
}

// A pair that guardrail A tested and that people took out meanwhile stays out; the rest goes on.
func TestAPairThatWasTakenOutStaysOut(t *testing.T) {
	t.Parallel()
	repo := newRepository(t, "1.0.0 2.0.0", "1.0.0 1.0.0")
	r := repo.release(trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0", others: []string{"1.0.0 1.0.0"}})
	repo.merge(map[string][]byte{catalog.Path: repo.catalog("1.0.0 2.0.0")})
	require.NoError(t, r.propose(t))
	require.Contains(t, r.log.String(), "it is not put back")
	require.Equal(t, []string{"1.0.0 2.0.0 tested"}, repo.listed("catalog/mero-kms-v1.0.0"))
}

// What people wrote on the branch is not written over.
func TestPeopleWorkOnTheBranch(t *testing.T) {
	t.Parallel()
	repo := newRepository(t, "1.0.0 2.0.0 first")
	r := repo.release(trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"})
	require.NoError(t, r.propose(t))
	const branch = "catalog/mero-kms-v1.0.0"
	_, err := repo.GitHub.Share(t.Context(), github.Change{Base: "main", Branch: branch, Path: catalog.Path,
		Content: repo.catalog("1.0.0 2.0.0 tested reviewed"), Message: "Say it better"})
	require.NoError(t, err)
	require.NoError(t, r.propose(t))
	require.Contains(t, r.log.String(), "people work on branch "+branch)
	require.Equal(t, []string{"1.0.0 2.0.0 tested reviewed"}, repo.listed(branch))
}

// A candidate changes no catalog, whatever its E2E said, and neither does a pair with one.
func TestCandidatesChangeNoCatalog(t *testing.T) {
	t.Parallel()
	for name, tr := range map[string]trial{
		"passed":               {tag: "mero-kms-v1.0.0-rc.1", counterpart: "mero-tee-v2.0.0"},
		"failed":               {tag: "mero-tee-v2.0.0-rc.1", counterpart: "mero-kms-v1.0.0", failed: true},
		"with a candidate":     {tag: "mero-tee-v2.0.0", counterpart: "mero-kms-v1.0.0-rc.2"},
		"both, and it passed":  {tag: "mero-kms-v1.0.0-rc.2", counterpart: "mero-tee-v2.0.0-rc.1"},
		"a release is patched": {tag: "mero-kms-v1.0.1-rc.1", counterpart: "mero-tee-v2.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := newRepository(t, "1.0.0 2.0.0 first")
			r := repo.release(tr)
			require.NoError(t, r.propose(t))
			require.Contains(t, r.log.String(), "nothing to propose")
			require.Zero(t, repo.proposal(tr.tag))
			require.Equal(t, []string{"1.0.0 2.0.0 first"}, repo.listed("main"))
		})
	}
}

// "A stable ends with its catalog update proposed, or does not end as latest."
func TestAStableWithoutACatalogUpdateIsNotPromoted(t *testing.T) {
	t.Parallel()
	alone := trial{tag: "mero-tee-v2.0.0", counterpart: "mero-kms-v1.0.0-rc.2"}
	stable := trial{tag: "mero-tee-v2.0.0", counterpart: "mero-kms-v1.0.0"}
	failed := stable
	failed.failed = true
	nothing := func(*repository, *world) {}
	propose := func(r *repository, rel *world) { require.NoError(r.t, rel.propose(r.t)) }
	kms := func(r *repository, _ *world) {
		require.NoError(r.t, r.release(trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"}).propose(r.t))
	}
	for name, tc := range map[string]struct {
		trial trial
		then  func(*repository, *world)
		says  string // of the refusal; empty when it is promoted
	}{
		"proposed": {stable, propose, ""},
		"merged": {stable, func(r *repository, rel *world) {
			propose(r, rel)
			require.NoError(r.t, r.mergeBranch("mero-tee-v2.0.0"))
		}, ""},
		"not proposed":     {stable, nothing, "has no catalog update"},
		"E2E did not pass": {failed, nothing, "did not pass"},
		"declined": {stable, func(r *repository, rel *world) {
			propose(r, rel)
			require.NoError(r.t, r.github.ClosePull(int64(r.proposal("mero-tee-v2.0.0").Number)))
		}, "has no catalog update"},
		"somebody took the entry out of the change": {stable, func(r *repository, rel *world) {
			propose(r, rel)
			_, err := r.GitHub.Share(r.t.Context(), github.Change{Base: "main", Branch: "catalog/mero-tee-v2.0.0",
				Path: catalog.Path, Content: r.catalog("1.0.0 2.0.0"), Message: "Not tested"})
			require.NoError(r.t, err)
		}, "has no catalog update"},
		"another release's change": {stable, func(r *repository, _ *world) {
			r.merge(map[string][]byte{catalog.Path: r.catalog("1.0.0 2.0.0", "1.1.0 2.0.0")})
			require.NoError(r.t, r.release(trial{tag: "mero-kms-v1.1.0", counterpart: "mero-tee-v2.0.0"}).propose(r.t))
		}, "has no catalog update"},
		"a candidate's evidence, from when main listed it": {stable, func(r *repository, _ *world) {
			r.merge(map[string][]byte{catalog.Path: r.catalog("1.0.0 2.0.0 tested")})
			at, err := r.GitHub.Head(r.t.Context(), "main")
			require.NoError(r.t, err)
			_, err = r.GitHub.Propose(r.t.Context(), github.Change{Base: "main", At: at,
				Branch: "catalog/mero-kms-v1.1.0-rc.1", Title: "Evidence", Message: "Evidence",
				Files: map[string][]byte{"catalog/evidence/1.1.0-rc.1--2.0.0.json": []byte("{}")}})
			require.NoError(r.t, err)
			r.merge(map[string][]byte{catalog.Path: r.catalog("1.0.0 2.0.0")})
			require.Equal(r.t, []string{"1.0.0 2.0.0 tested"}, r.listed("catalog/mero-kms-v1.1.0-rc.1"))
		}, "has no catalog update"},
		"with a candidate alone":                                     {alone, propose, "waits as a pre-release"},
		"with a candidate, and the other family's stable came after": {alone, kms, ""},
		"with a candidate, and that one's change was declined": {alone, func(r *repository, rel *world) {
			kms(r, rel)
			require.NoError(r.t, r.github.ClosePull(int64(r.proposal("mero-kms-v1.0.0").Number)))
		}, "release mero-kms-v1.0.0"},
		"with a candidate, and another stable came after": {alone, func(r *repository, _ *world) {
			r.merge(map[string][]byte{catalog.Path: r.catalog("1.0.0 2.0.0", "1.1.0 2.0.0")})
			require.NoError(r.t, r.release(trial{tag: "mero-kms-v1.1.0", counterpart: "mero-tee-v2.0.0"}).propose(r.t))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := newRepository(t, "1.0.0 2.0.0 first")
			r := repo.release(tc.trial)
			tc.then(repo, r)
			err := r.promote(t)
			if tc.says == "" { // and stops at the next question, which is about the audit
				require.ErrorIs(t, err, os.ErrNotExist)
				require.ErrorContains(t, err, steps.AuditFile)
				return
			}
			require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
			var told *fault.Error
			require.ErrorAs(t, err, &told)
			require.Contains(t, err.Error()+told.Hint, tc.says)
		})
	}
}
