package actions_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/actions"
)

const (
	checkout = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd"
	upload   = "actions/upload-artifact@b7c566a772e6b6bfb58ed0dc250532a479d7789f"
	download = "actions/download-artifact@37930b1c2abaa49bbe596cd826c3c89aef350131"
)

// repository is a git repository with one workflow, .github/workflows/w.yaml, at tag v1.
func repository(t *testing.T, workflow string) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	write(t, dir, workflow)
	git(t, dir, "tag", "v1")
	return dir
}

// write commits the workflow.
func write(t *testing.T, dir, workflow string) {
	t.Helper()
	file := filepath.Join(dir, ".github", "workflows", "w.yaml")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(workflow), 0o600))
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "change")
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.invalid",
		"-c", "commit.gpgsign=false"}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// service is the repository's, with these options besides.
func service(t *testing.T, source string, o actions.Options) *actions.Service {
	t.Helper()
	o.Repository, o.Source, o.Dir, o.Actor = "owner/name", source, t.TempDir(), "ann"
	o.Machine.Proxy = "http://127.0.0.1:1"
	return actions.New(o)
}

// started is the run of a workflow for tag v1, whose jobs have ended. The
// workflow is what follows "jobs:", or a whole one.
func started(t *testing.T, workflow string, o actions.Options) *actions.Run {
	t.Helper()
	r := pushed(t, workflow, o)
	require.NoError(t, r.Start(t.Context()))
	return r
}

func pushed(t *testing.T, workflow string, o actions.Options) *actions.Run {
	t.Helper()
	runs, err := service(t, repository(t, whole(workflow)), o).Push(t.Context(), "v1")
	require.NoError(t, err)
	require.Len(t, runs, 1)
	return runs[0]
}

func whole(jobs string) string {
	if strings.Contains(jobs, "jobs:") {
		return jobs
	}
	return "name: w\non: {push: {tags: ['v*']}}\npermissions: {}\njobs:\n" + jobs
}

// log is what a job said.
func log(t *testing.T, r *actions.Run, job string) string {
	t.Helper()
	j := r.Job(job)
	require.NotNil(t, j, job)
	return strings.Join(j.Log, "\n") + "\n"
}

// result is how a job ended.
func result(t *testing.T, r *actions.Run, job string) actions.Result {
	t.Helper()
	j := r.Job(job)
	require.NotNil(t, j, job)
	return j.Result
}
