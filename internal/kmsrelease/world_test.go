package kmsrelease_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/config"
	"github.com/calimero-network/mero-tee/internal/console"
	"github.com/calimero-network/mero-tee/internal/github"
	"github.com/calimero-network/mero-tee/internal/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
)

var (
	stable  = release.Tag{Family: release.KMS, Version: release.Version{Minor: 1}}
	scratch string // of the whole test binary
)

func TestMain(m *testing.M) {
	if os.Getenv(crashVariable) != "" {
		os.Exit(crash())
	}
	os.Exit(withScratch(m.Run))
}

func withScratch(run func() int) int {
	var err error
	if scratch, err = os.MkdirTemp("", "kmsrelease-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // scratch
	return run()
}

// repository copies what a release reads of this repository and commits
// nothing of it: a rehearsal takes a dirty tree, and so every copy has the same
// commit, whatever else is being worked on meanwhile.
func repository(dir string) error {
	for _, name := range []string{"internal", "docker", "policies", "catalog", "docs", "packer", "ansible", "scripts", ".github"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("../..", name))); err != nil {
			return err
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	tools, err := filepath.Abs("../../tools")
	if err != nil {
		return err
	}
	return errors.Join(os.Symlink(tools, filepath.Join(dir, "tools")), git(dir, "init", "-q", "-b", "main"),
		git(dir, "commit", "-q", "--allow-empty", "-m", "The beginning"))
}

func git(dir string, args ...string) error {
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "commit.gpgSign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org",
		"GIT_AUTHOR_DATE=2026-11-01T12:00:00Z", "GIT_COMMITTER_DATE=2026-11-01T12:00:00Z")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

// stages are copies of one release's folder, each made when it had come so far.
type stages struct {
	root     string // the repository's copy
	seeded   string // the counterpart is released, nothing else
	signed   string // everything up to kms:sign
	staged   string // everything up to kms:catalog
	tested   string // everything up to kms:e2e
	released string
	log      string
}

// once releases stable a single time for all tests of the binary.
var once = sync.OnceValues(func() (*stages, error) {
	s := &stages{root: filepath.Join(scratch, "repository")}
	if err := repository(s.root); err != nil {
		return nil, err
	}
	live := filepath.Join(scratch, "live")
	for _, to := range []struct {
		last string
		copy *string
	}{{"", &s.seeded}, {"kms:sign", &s.signed}, {"kms:catalog", &s.staged}, {"kms:e2e", &s.tested}, {"kms:promote", &s.released}} {
		p, err := begin(context.Background(), s.root, live, stable)
		if err != nil {
			return nil, err
		}
		err = errors.Join(p.perform(context.Background(), to.last), p.Close())
		s.log += p.log.String()
		if err != nil {
			return nil, errors.Join(err, errors.New(s.log))
		}
		*to.copy = filepath.Join(scratch, "after "+strings.ReplaceAll(to.last, ":", "-"))
		if err := clone(live, *to.copy); err != nil {
			return nil, err
		}
	}
	return s, nil
})

func world(t testing.TB) *stages {
	t.Helper()
	s, err := once()
	require.NoError(t, err)
	return s
}

// from is a copy of one stage that the test may change.
func from(t testing.TB, stage string) string {
	t.Helper()
	dist := filepath.Join(t.TempDir(), "dist")
	require.NoError(t, clone(stage, dist))
	return dist
}

// clone copies a folder. Blobs of images, which are never written to again, are linked.
func clone(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case strings.Contains(rel, "/blobs/") || strings.Contains(rel, "/context/"):
			return os.Link(path, target)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

// process is what one command holds: the world, the release and its run.
type process struct {
	world   *rehearsal.World
	release *kmsrelease.Release
	run     *pipeline.Run
	log     *bytes.Buffer
	writes  atomic.Int64 // requests to GitHub that change something
}

// option changes the configuration before the world opens.
type option func(*config.Config)

// begin opens a release as the door does.
func begin(ctx context.Context, root, dist string, tag release.Tag, options ...option) (*process, error) {
	cfg, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	cfg.KMSVersion, cfg.TEEVersion = tag.Version.String(), "0.1.0"
	for _, f := range options {
		f(cfg)
	}
	p := &process{log: &bytes.Buffer{}}
	c := console.New(p.log, false)
	if p.world, err = rehearsal.Open(ctx, root, dist, cfg, c); err != nil {
		return nil, err
	}
	p.world.Env.Transport = &counting{next: p.world.Env.Transport, writes: &p.writes}
	if p.release, err = kmsrelease.Open(ctx, p.world.Env, tag, c); err != nil {
		return nil, errors.Join(err, p.world.Close())
	}
	p.writes.Store(0) // what the counterpart took does not count
	p.run = &pipeline.Run{Graph: p.release.Graph(), Ledger: p.release.Ledger, Console: c}
	return p, nil
}

// opened is begin for a test, which closes it at its end.
func opened(t testing.TB, root, dist string, tag release.Tag, options ...option) *process {
	t.Helper()
	p, err := begin(t.Context(), root, dist, tag, options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// perform runs the steps up to last, in the order of the graph; none for "".
func (p *process) perform(ctx context.Context, last string) error {
	for _, step := range p.run.Graph {
		if last == "" {
			return nil
		}
		if err := p.run.Perform(ctx, step.Name); err != nil || step.Name == last {
			return err
		}
	}
	return nil
}

func (p *process) Close() error { return errors.Join(p.release.Close(), p.world.Close()) }

func (p *process) github(t testing.TB) *github.Client {
	t.Helper()
	c, err := github.New(github.Options{Repository: config.DefaultRepository, Token: p.world.Env.GitHubToken.Reveal(), Transport: p.world.Env.Transport})
	require.NoError(t, err)
	return c
}

// pulls lists every pull request.
func (p *process) pulls(t testing.TB) []string {
	t.Helper()
	resp, err := p.world.Env.Client().Get("https://api.github.com/repos/" + config.DefaultRepository + "/pulls?state=all")
	require.NoError(t, err)
	defer resp.Body.Close() //nolint:errcheck // test
	require.Equal(t, http.StatusOK, resp.StatusCode)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var list []struct{ Title string }
	require.NoError(t, json.Unmarshal(data, &list))
	var titles []string
	for _, pr := range list {
		titles = append(titles, pr.Title)
	}
	return titles
}

// counting counts the requests to GitHub that change something.
type counting struct {
	next   http.RoundTripper
	writes *atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if writesToGitHub(r) {
		c.writes.Add(1)
	}
	return c.next.RoundTrip(r)
}

func writesToGitHub(r *http.Request) bool {
	host := r.URL.Hostname()
	return changes(r) && (host == "api.github.com" || host == "uploads.github.com")
}

func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// contents reads the files of a folder, by name.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		out[e.Name()] = string(data)
	}
	return out
}

func staged(dist string, tag release.Tag) string { return filepath.Join(dist, tag.String(), "assets") }

// onGitHub is where the local GitHub keeps the assets of a release.
func onGitHub(dist string, tag release.Tag) string {
	return filepath.Join(dist, "rehearsal", "github", "releases", tag.String())
}
