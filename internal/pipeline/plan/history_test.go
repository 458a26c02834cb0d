package plan_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// repository is a git work tree that a test builds.
type repository struct {
	t      *testing.T
	dir    string
	public bool     // the release that is judged
	failed []string // stable tags whose release was never published, or stayed a pre-release
}

// newRepository is: T, tagged mero-kms-v1.2.0 and mero-tee-v1.0.0, then M1 and M2 on main.
func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{t: t, dir: t.TempDir()}
	r.git("init", "-q", "-b", "main")
	r.commit("T", "internal/x.go", "1\n", "policies/debug.json", "{}\n")
	r.git("tag", "mero-kms-v1.2.0")
	r.git("tag", "-a", "-m", "annotated", "mero-tee-v1.0.0")
	r.commit("M1", "new.go", "1\n")
	r.commit("M2", "newer.go", "1\n")
	return r
}

func (r *repository) git(args ...string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git",
		append([]string{"-C", r.dir, "-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
}

// commit writes files (name, content, …) and commits them.
func (r *repository) commit(message string, files ...string) {
	r.t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(r.dir, files[i])
		require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(r.t, os.WriteFile(path, []byte(files[i+1]), 0o644))
	}
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
}

// hotfix is a branch with one fix from a revision.
func (r *repository) hotfix(from string) {
	r.t.Helper()
	r.git("switch", "-q", "-c", "hotfix", from)
	r.commit("F", "internal/x.go", "1\n2\n")
}

// of is the class of the tag at HEAD, whether or not the tag was pushed already.
func (r *repository) of(tag string) (plan.Decision, error) {
	r.t.Helper()
	return plan.Decide(r.t.Context(), r.subject(tag), plan.Repository(r.dir))
}

func (r *repository) subject(tag string) plan.Subject {
	r.t.Helper()
	parsed, err := release.ParseTag(tag)
	require.NoError(r.t, err)
	head, err := git.Head(r.t.Context(), r.dir)
	require.NoError(r.t, err)
	tags, err := git.TagCommits(r.t.Context(), r.dir)
	require.NoError(r.t, err)
	s := plan.Subject{Tag: parsed, Commit: head.Hash, Tags: tags, Public: r.public}
	for name := range tags {
		other, err := release.ParseTag(name)
		if err == nil && other.Stable() && name != tag && !slices.Contains(r.failed, name) {
			s.Stable = append(s.Stable, other)
		}
	}
	return s
}

func classOf(t *testing.T, s plan.Subject, r *repository) (plan.Decision, error) {
	t.Helper()
	return plan.Decide(t.Context(), s, plan.Repository(r.dir))
}
