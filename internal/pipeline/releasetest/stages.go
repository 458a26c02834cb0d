package releasetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// source is the repository, seen from the packages of both releases.
const source = "../../.."

// read is what a release reads of the repository, besides tools.
var read = []string{"internal", "docker", "policies", "catalog", "docs", "packer", "ansible", "scripts", ".github"}

// maxAge is how long stages are used again: well within the life of the
// certificates and tokens that the rehearsal made for them.
const maxAge = 12 * time.Hour

// idle is after what time the stages of other sources go: they are some gigabytes,
// and whoever edits makes others with each change.
const idle = time.Hour

// Stages are copies of one release's folder, each made when it had come so far.
type Stages struct {
	Root string // the repository's copy
	Log  string // what the commands said

	dir string
}

// After is the folder as the target left it; "" is before the first one.
func (s *Stages) After(target string) string {
	return filepath.Join(s.dir, "after "+strings.ReplaceAll(target, ":", "-"))
}

// Stages releases the fixture's tag, once for all tests and for later runs over
// the same sources: they lie in the user's cache.
func (f *Fixture) Stages(t testing.TB) *Stages {
	t.Helper()
	f.once.Do(func() { f.stages, f.failed = f.keep(context.Background()) })
	require.NoError(t, f.failed)
	return f.stages
}

func (f *Fixture) keep(ctx context.Context) (*Stages, error) {
	s := &Stages{Root: filepath.Join(f.scratch, "repository")}
	if err := Repository(source, s.Root); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	cache = filepath.Join(cache, "mero-tee", "releasetest")
	sources, err := steps.TreeDigest(source, func(name string) bool { return !strings.HasSuffix(name, "_test.go") },
		append(slices.Clone(read), "go.mod", "go.sum", "tools")...)
	if err != nil {
		return nil, err
	}
	s.dir = filepath.Join(cache, f.Tag.Family.Short()+"-"+strings.TrimPrefix(sources, "sha256:")[:16])
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := file.Lock(ctx, s.dir, nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	used := time.Now()
	if err := errors.Join(os.Chtimes(s.dir, used, used), s.forgetOthers()); err != nil {
		return nil, err
	}
	record := filepath.Join(s.dir, "log") // written last
	if info, err := os.Stat(record); err == nil && time.Since(info.ModTime()) < maxAge {
		data, err := os.ReadFile(record)
		s.Log = string(data)
		return s, err
	}
	if err := f.make(ctx, s); err != nil {
		return nil, err
	}
	return s, file.Write(record, []byte(s.Log), 0o644)
}

// make performs the release, stage by stage, each as a command of its own.
func (f *Fixture) make(ctx context.Context, s *Stages) error {
	live := filepath.Join(s.dir, "live")
	if err := os.RemoveAll(live); err != nil {
		return err
	}
	for _, target := range f.Kept {
		p, err := f.Begin(ctx, s.Root, live, f.Tag, nil, f.Options...)
		if err != nil {
			return err
		}
		err = errors.Join(p.Perform(ctx, target), p.Close())
		if s.Log += p.Log.String(); err != nil {
			return fmt.Errorf("%w\n%s", err, s.Log)
		}
		if err := errors.Join(os.RemoveAll(s.After(target)), clone(live, s.After(target))); err != nil {
			return err
		}
	}
	return os.RemoveAll(live)
}

// forgetOthers removes the stages of other sources that nobody has used for a while.
func (s *Stages) forgetOthers() error {
	cache, own := filepath.Split(s.dir)
	entries, err := os.ReadDir(cache)
	for _, e := range entries {
		if info, gone := e.Info(); gone == nil && e.Name() != own && time.Since(info.ModTime()) > idle {
			err = errors.Join(err, os.RemoveAll(filepath.Join(cache, e.Name())))
		}
	}
	return err
}

// Repository copies what a release reads of this repository and commits nothing
// of it: a rehearsal takes a dirty tree, and so every copy has the same commit,
// whatever else is being worked on meanwhile. source is the repository's folder.
func Repository(source, dir string) error {
	tools, err := filepath.Abs(filepath.Join(source, "tools"))
	if err := errors.Join(err, os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	for _, name := range read {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(source, name))); err != nil {
			return err
		}
	}
	return errors.Join(file.Copy(filepath.Join(dir, "go.mod"), filepath.Join(source, "go.mod"), 0o644),
		file.Copy(filepath.Join(dir, "go.sum"), filepath.Join(source, "go.sum"), 0o644),
		os.Symlink(tools, filepath.Join(dir, "tools")), Git(dir, "init", "-q", "-b", "main"),
		Git(dir, "commit", "-q", "--allow-empty", "-m", "The beginning"))
}

// Git runs git as somebody whose commits are the same each time.
func Git(dir string, args ...string) error {
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "commit.gpgSign=false"}, args...)...)
	cmd.Env = append(git.Environment(), "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org",
		"GIT_AUTHOR_DATE=2026-11-01T12:00:00Z", "GIT_COMMITTER_DATE=2026-11-01T12:00:00Z")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

// From is a copy of one stage that the test may change.
func From(t testing.TB, stage string) string {
	t.Helper()
	dist := filepath.Join(t.TempDir(), "dist")
	require.NoError(t, clone(stage, dist))
	return dist
}

// clone copies a folder. Blobs of images, which are never written to
// again, are linked where the file system can.
func clone(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if strings.Contains(path, "/blobs/") || strings.Contains(path, "/context/") {
			if os.Link(path, target) == nil {
				return nil
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

// Targets are the targets of a graph, in its order.
func Targets(g pipeline.Graph) []string {
	var out []string
	for _, step := range g {
		if !slices.Contains(out, step.Target()) {
			out = append(out, step.Target())
		}
	}
	return out
}
