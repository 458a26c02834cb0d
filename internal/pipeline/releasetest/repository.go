// Package releasetest is what the tests of both families' releases share: a copy of
// this repository, copies of a release's stages, and looks at what came out.
//
// Its promise: copies share nothing that a test may change, and what is asserted
// of one family is asserted of the other.
package releasetest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// read is what a release reads of the repository.
var read = []string{"internal", "docker", "policies", "catalog", "docs", "packer", "ansible", "scripts", ".github"}

// Repository copies what a release reads of this repository and commits nothing
// of it: a rehearsal takes a dirty tree, and so every copy has the same commit,
// whatever else is being worked on meanwhile. source is the repository's folder.
func Repository(source, dir string) error {
	for _, name := range read {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(source, name))); err != nil {
			return err
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	tools, err := filepath.Abs(filepath.Join(source, "tools"))
	if err != nil {
		return err
	}
	return errors.Join(os.Symlink(tools, filepath.Join(dir, "tools")), Git(dir, "init", "-q", "-b", "main"),
		Git(dir, "commit", "-q", "--allow-empty", "-m", "The beginning"))
}

// Git runs git as somebody whose commits are the same each time.
func Git(dir string, args ...string) error {
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
