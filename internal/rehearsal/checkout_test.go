package rehearsal_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/policies"
)

// repository is a copy of what a checkout reads, with one commit of its own.
func repository(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "repository")
	for _, name := range []string{"ansible", "policies", "catalog", "docs", "packer", "docker/mero-kms"} {
		require.NoError(t, os.CopyFS(filepath.Join(root, name), os.DirFS(filepath.Join("..", "..", name))))
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		require.NoError(t, file.Copy(filepath.Join(root, name), filepath.Join("..", "..", name), 0o644))
	}
	tools, err := filepath.Abs(filepath.Join("..", "..", "tools"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(tools, filepath.Join(root, "tools")))
	git(t, root, "init", "-q", "-b", "main")
	git(t, root, "add", "--all")
	commit(t, root)
	return root
}

func commit(t *testing.T, root string) {
	t.Helper()
	git(t, root, "commit", "-q", "--allow-empty", "-m", "One more")
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "commit.gpgSign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ann",
		"GIT_AUTHOR_EMAIL=ann@example.org",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

var first = release.Version{Minor: 1}

// begun is a world over a repository; what it says goes to the log.
func begun(t *testing.T, root, dist string, kms, node release.Version) (*rehearsal.World, *bytes.Buffer) {
	t.Helper()
	cfg, err := config.Load(func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	cfg.KMSVersion, cfg.TEEVersion = kms, node
	log := &bytes.Buffer{}
	w, err := rehearsal.Open(t.Context(), root, dist, cfg, console.New(log, false))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w, log
}

func client(t *testing.T, w *rehearsal.World) *github.Client {
	t.Helper()
	c, err := github.New(github.Options{Repository: w.Env.Config.Repository, Token: w.Env.GitHubToken.Reveal(),
		Transport: w.Env.Transport})
	require.NoError(t, err)
	return c
}

// released are the public releases, by tag, with the names of their assets.
func released(t *testing.T, w *rehearsal.World) map[string][]string {
	t.Helper()
	all, err := client(t, w).Releases(t.Context())
	require.NoError(t, err)
	out := map[string][]string{}
	for _, r := range all {
		require.False(t, r.Draft, r.TagName)
		require.True(t, r.Prerelease, "%s: no key service was tested with it", r.TagName)
		for _, a := range r.Assets {
			out[r.TagName] = append(out[r.TagName], a.Name)
		}
	}
	return out
}

// Before a key service can be released, its node releases are out, through
// production's own steps; their measurements are in the policies; the pair is in
// the catalog; and the tag is pushed. Done again, nothing is done.
func TestCheckoutOfAKeyService(t *testing.T) {
	t.Parallel()
	root, dist, tag := repository(t), t.TempDir(), parse(t, "mero-kms-v0.1.0")
	w, log := begun(t, root, dist, first, first)
	c, err := w.Env.Checkout(t.Context(), tag)
	require.NoError(t, err, "%s", log)
	require.NotContains(t, log.String(), "[WARN]")
	out := released(t, w)
	require.Len(t, out, 2)
	for _, node := range []string{"mero-tee-v0.1.0", "mero-tee-v0.0.9"} {
		require.ElementsMatch(t, release.Node.ExpectedAssets(), out[node])
	}
	requireMerged(t, c.Policies, c.Catalog)
	require.FileExists(t, filepath.Join(c.Notes, releases.File(tag)))
	require.Regexp(t, `^[0-9a-f]{40}$`, c.Commit)

	const later = ".github/workflows/later.yaml"
	_, err = client(t, w).ReadFile(t.Context(), later, "main")
	require.NoError(t, err, "the branch has moved on")
	_, err = client(t, w).ReadFile(t.Context(), later, c.Commit)
	require.ErrorIs(t, err, github.ErrNotFound)

	said := log.Len()
	again, err := w.Env.Checkout(t.Context(), tag)
	require.NoError(t, err)
	require.Equal(t, c, again)
	require.Equal(t, out, released(t, w))
	require.NotContains(t, log.String()[said:], "releasing the simulated counterpart")

	commit(t, root) // main moves on, and the tag does not
	_, err = w.Env.Checkout(t.Context(), tag)
	var f *fault.Error
	require.True(t, errors.As(err, &f), "%v", err)
	require.Contains(t, f.Message, "mero-kms-v0.1.0 was rehearsed from another commit")
	require.Equal(t, c.Commit, f.Expected)
	require.Contains(t, f.Hint, "-tag=mero-kms-v0.2.0")
}

// requireMerged: the pull requests that declare and promote are merged.
func requireMerged(t *testing.T, dir, listed string) {
	t.Helper()
	data, err := os.ReadFile(listed)
	require.NoError(t, err)
	pairs, err := catalog.Decode(data)
	require.NoError(t, err)
	for _, node := range []string{"mero-tee-v0.1.0", "mero-tee-v0.0.9"} {
		require.NotEmpty(t, pairs.Find(parse(t, "mero-kms-v0.1.0").Version, parse(t, node).Version), node)
	}
	working, err := policies.LoadDir(os.DirFS(dir))
	require.NoError(t, err)
	require.Len(t, working, len(release.Profiles()))
	for p, policy := range working {
		var names []string
		for _, m := range policy.Measurements {
			names = append(names, m.NodeRelease.String())
		}
		slices.Sort(names)
		require.Equal(t, []string{"mero-tee-v0.0.9", "mero-tee-v0.1.0"}, names, p)
	}
}

// The measurements of a seeded release are those of simulated images, which this
// world boots; a version that is not set names no counterpart.
func TestSeededNodes(t *testing.T) {
	releasetest.Long(t, "whole releases of both families")
	t.Parallel()
	root, dist := repository(t), t.TempDir()
	w, log := begun(t, root, dist, first, first)
	_, err := w.Env.Checkout(t.Context(), parse(t, "mero-kms-v0.1.0"))
	require.NoError(t, err, "%s", log)
	data, err := os.ReadFile(filepath.Join(dist, "rehearsal", "github", "releases", "mero-tee-v0.1.0",
		release.MeasurementsAsset))
	require.NoError(t, err)
	published, err := measurement.Decode(data)
	require.NoError(t, err)
	for _, p := range release.Profiles() {
		require.True(t, inprocess.IsSimulated(published, p))
	}
	w.Env.Config.TEEVersion = release.Version{}
	_, err = w.Env.Checkout(t.Context(), parse(t, "mero-kms-v0.1.0"))
	require.Error(t, err)
	w.Env.Config.KMSVersion = release.Version{}
	_, err = w.Env.Checkout(t.Context(), parse(t, "mero-tee-v0.2.0"))
	require.Error(t, err)
	require.Len(t, released(t, w), 2)
}

// A catalog elsewhere in the repository is read, declared into and pushed there.
func TestACatalogElsewhere(t *testing.T) {
	releasetest.Long(t, "a whole release of the counterpart")
	t.Parallel()
	root, dist := repository(t), t.TempDir()
	const elsewhere = "config/pairs.json"
	require.NoError(t, os.MkdirAll(filepath.Join(root, "config"), 0o755))
	require.NoError(t, os.Rename(filepath.Join(root, catalog.Path), filepath.Join(root, elsewhere)))
	w, log := begun(t, root, dist, first, first)
	w.Env.Config.CatalogPath = elsewhere
	c, err := w.Env.Checkout(t.Context(), parse(t, "mero-kms-v0.1.0"))
	require.NoError(t, err, "%s", log)
	held, err := catalog.Read(c.Catalog)
	require.NoError(t, err)
	require.NotEmpty(t, held.Find(first, first))
	client, err := w.Env.GitHub()
	require.NoError(t, err)
	_, err = client.ReadFile(t.Context(), elsewhere, "main")
	require.NoError(t, err)
	_, err = client.ReadFile(t.Context(), catalog.Path, "main")
	require.ErrorIs(t, err, github.ErrNotFound)
	require.Len(t, released(t, w), 2, "the counterpart, and the node release before it")
}

// A catalog that is not there, and what is no file, end the command in words.
func TestACatalogThatIsNone(t *testing.T) {
	t.Parallel()
	for path, code := range map[string]fault.Code{"none.json": fault.MissingAsset, "docs": fault.Usage,
		"packer/README.md": fault.Verification} {
		w, _ := begun(t, repository(t), t.TempDir(), first, first)
		w.Env.Config.CatalogPath = path
		_, err := w.Env.Checkout(t.Context(), parse(t, "mero-kms-v0.1.0"))
		require.Equal(t, code, fault.CodeOf(err), "%s: %v", path, err)
	}
}
