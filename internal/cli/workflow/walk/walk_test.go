package walk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/actions"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// docs/releasing.md, section 5, line by line, on days on which things go wrong.
func TestTheFirstReleases(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "the release workflows, walked")
	w := begin(t)
	w.set("MERO_TEE_VERSION", "1.0.0-rc.1")
	w.set("MERO_KMS_VERSION", "1.0.0-rc.1")
	// 1
	w.declare("mero-kms-v1.0.0", "mero-tee-v1.0.0")
	// 2
	w.end(w.release("mero-tee-v1.0.0-rc.1", lost("image (debug)")))
	// 3
	w.end(w.release("mero-kms-v1.0.0-rc.1"))
	w.mergePulls("Evidence of mero-kms-v1.0.0-rc.1")
	// 4
	w.promotePolicies("mero-tee-v1.0.0-rc.1")
	// 5
	w.set("MERO_KMS_VERSION", "1.0.0-rc.2")
	w.end(w.release("mero-kms-v1.0.0-rc.2", unreachable("build", "ghcr.io")))
	w.mergePulls("Evidence of mero-kms-v1.0.0-rc.2")
	// 6
	w.writeNotes("mero-tee-v1.0.0")
	w.set("MERO_TEE_VERSION", "1.0.0")
	waiting := w.release("mero-tee-v1.0.0", contradicting("node-debug"), unreachable("release", "uploads.github.com"),
		uncatalogued())
	w.mergePulls("Compatibility of mero-tee-v1.0.0")
	// 7
	w.promotePolicies("mero-tee-v1.0.0")
	// 8
	w.writeNotes("mero-kms-v1.0.0")
	w.set("MERO_KMS_VERSION", "1.0.0")
	w.whileVariablesMove(func() {
		w.end(w.release("mero-kms-v1.0.0", failedCI("build"), unreachable("release", "api.trustedservices.intel.com"),
			rejected("promote"), notReviewed(), approvedForAnother()))
	})
	// 9
	w.suffer(waiting, approvedByThePusher(), asAnother("mero-kms-v1.0.0-rc.2"))
	w.whileVariablesMove(func() { w.end(waiting) })
	w.mergePulls("Compatibility")
	w.person("verify:release", "mero-kms-v1.0.0")
}

func (w *walk) set(name, value string) { w.vars[name] = value }

// declare merges a pull request that declares a pair.
func (w *walk) declare(kms, node string) {
	k, err := release.ParseTag(kms)
	require.NoError(w.t, err)
	n, err := release.ParseTag(node)
	require.NoError(w.t, err)
	path := filepath.Join(w.origin, catalog.Path)
	data, err := os.ReadFile(path)
	require.NoError(w.t, err)
	c, err := catalog.Decode(data)
	require.NoError(w.t, err)
	c, err = catalog.Declare(c, catalog.PairOf(k, n), "walked")
	require.NoError(w.t, err)
	data, err = c.Encode()
	require.NoError(w.t, err)
	require.NoError(w.t, os.WriteFile(path, data, 0o600))
	page, err := os.ReadFile(filepath.Join(w.origin, catalog.PagePath))
	require.NoError(w.t, err)
	for name, text := range c.Docs(page) { // `mage catalog:docs`
		require.NoError(w.t, os.WriteFile(filepath.Join(w.origin, name), text, 0o600))
	}
	w.merge("Declare the pair")
}

// merge is a pull request with what lies in the repository, merged.
func (w *walk) merge(title string) {
	w.commit(title)
	require.NoError(w.t, w.world.Push("refs/heads/main", w.head(), w.files()))
	require.NoError(w.t, w.world.GitHub().Conclude(w.head(), "success"))
}

func (w *walk) head() string { return w.git("rev-parse", "HEAD") }

func (w *walk) git(args ...string) string {
	w.t.Helper()
	out, err := command(w.origin, nil, "git", args...)
	require.NoError(w.t, err, out)
	return strings.TrimSpace(out)
}

// files are what may be read and changed through GitHub's API.
func (w *walk) files() map[string][]byte {
	out := map[string][]byte{}
	for _, root := range []string{".github/workflows", "catalog", "docs", "policies"} {
		err := filepath.WalkDir(filepath.Join(w.origin, root), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata") {
				return err
			}
			rel, err := filepath.Rel(w.origin, name)
			require.NoError(w.t, err)
			out[rel], err = os.ReadFile(name)
			return err
		})
		require.NoError(w.t, err)
	}
	return out
}

// tag pushes a tag and gives the one run that this starts, hours after the one before.
func (w *walk) tag(tag string) *actions.Run {
	w.t.Helper()
	w.hoursPass()
	w.git("tag", tag)
	require.NoError(w.t, w.world.Push("refs/tags/"+tag, w.head(), nil))
	runs, err := w.service.Push(w.t.Context(), tag)
	require.NoError(w.t, err)
	require.Len(w.t, runs, 1)
	return runs[0]
}

// hoursPass lets GitHub's hour end. One run must leave half of the requests that
// all jobs share in an hour to the repository's other workflows.
func (w *walk) hoursPass() {
	w.t.Helper()
	const perHour = 1000
	used := w.world.GitHub().NextHour()
	w.t.Logf("%d requests of jobs", used)
	require.Less(w.t, used, perHour/2)
}

// attempt is a run that is started, or whose failed jobs are run again, as docs/releasing.md says.
type attempt struct {
	run  *actions.Run
	next func(context.Context) error
}

// release walks a tag's workflow through its mishaps.
func (w *walk) release(tag string, mishaps ...mishap) *attempt {
	w.t.Helper()
	r := w.tag(tag)
	a := &attempt{r, r.Start}
	w.suffer(a, mishaps...)
	return a
}

// suffer walks a workflow through mishaps, each of which fails one attempt.
func (w *walk) suffer(a *attempt, mishaps ...mishap) {
	w.t.Helper()
	r := a.run
	for _, m := range mishaps {
		m.happen(w, r)
		require.NoError(w.t, a.next(w.t.Context()))
		require.Equal(w.t, actions.Failure, r.Job(m.job).Result, "%s: %s", r.Tag, m.job)
		require.Contains(w.t, strings.Join(r.Job(m.job).Log, "\n"), m.says, r.Tag)
		w.unfinished(r.Tag)
		w.hoursPass()
		r.Before, r.Refuse, a.next = nil, nil, r.Rerun
		w.decide(reviewer)
		w.protect(nil)
		w.check(r.Commit, "success")
	}
}

// end walks a workflow to its end, which is a success.
func (w *walk) end(a *attempt) {
	w.t.Helper()
	require.NoError(w.t, a.next(w.t.Context()))
	w.finished(a.run)
}

func command(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// person is somebody at a terminal, with the repository's variables, a token, and main checked out.
func (w *walk) person(args ...string) {
	w.t.Helper()
	env := append(os.Environ(), w.machine.Env...)
	env = append(env, "MERO_ENVIRONMENT=production", "HTTPS_PROXY="+w.machine.Proxy,
		"GITHUB_TOKEN="+owner)
	for name, value := range w.vars {
		env = append(env, name+"="+value)
	}
	said, err := command(w.origin, env, w.mage, args...)
	fmt.Fprintln(w, said)
	require.NoError(w.t, err, "%s\n%s", args, said)
}

// promotePolicies is `mage policy:promote`, and its pull request, merged.
func (w *walk) promotePolicies(node string) {
	w.t.Helper()
	w.person("policy:promote", "-tag="+node)
	w.mergePulls("Promote the measurements of " + node)
}

// pull is a pull request as GitHub lists it.
type pull struct {
	Number int64
	Title  string
}

func (w *walk) pulls() (out []pull) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet,
		"https://api.github.com/repos/"+config.DefaultRepository+"/pulls?per_page=100", nil)
	require.NoError(w.t, err)
	for name, value := range map[string]string{"Authorization": "Bearer " + owner, "User-Agent": "a person",
		"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"} {
		req.Header.Set(name, value)
	}
	resp, err := w.world.Env.Client().Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	require.Equal(w.t, http.StatusOK, resp.StatusCode)
	require.NoError(w.t, json.NewDecoder(resp.Body).Decode(&out))
	return out
}

// mergePulls merges all open pull requests, of which there is at least one, each about something.
func (w *walk) mergePulls(about string) {
	w.t.Helper()
	open := w.pulls()
	require.NotEmpty(w.t, open)
	for _, p := range open {
		require.Contains(w.t, p.Title, about)
		files, err := w.world.MergePull(p.Number)
		require.NoError(w.t, err)
		for name, data := range files {
			path := filepath.Join(w.origin, name)
			require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(w.t, os.WriteFile(path, data, 0o600))
		}
		w.merge(p.Title)
	}
}

// writeNotes merges what people write for a stable release.
func (w *walk) writeNotes(name string) {
	w.t.Helper()
	tag, err := release.ParseTag(name)
	require.NoError(w.t, err)
	path := filepath.Join(w.origin, releases.Path(tag))
	text := notes.Statement(tag, release.Stable, "There is nothing to tell.", "WALK-1")
	require.NoError(w.t, os.WriteFile(path, text, 0o600))
	w.merge("Notes of " + name)
}
