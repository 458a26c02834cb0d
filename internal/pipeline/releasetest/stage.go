package releasetest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Stage is a copy of a release's folder, made when it had come so far.
type Stage struct {
	Last string  // the target that was the last one; "" for none
	Copy *string // where the copy's folder is put
}

// Release performs a release in scratch, stage by stage, each as a command of
// its own, and returns what the commands said.
func Release(scratch string, stages []Stage, perform func(dist, last string) (log string, err error)) (said string, err error) {
	live := filepath.Join(scratch, "live")
	for _, s := range stages {
		log, err := perform(live, s.Last)
		said += log
		if err != nil {
			return said, errors.Join(err, errors.New(said))
		}
		*s.Copy = filepath.Join(scratch, "after "+strings.ReplaceAll(s.Last, ":", "-"))
		if err := clone(live, *s.Copy); err != nil {
			return said, err
		}
	}
	return said, nil
}

// From is a copy of one stage that the test may change.
func From(t testing.TB, stage string) string {
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

// WithScratch runs a package's tests with a folder for all of them.
func WithScratch(name string, scratch *string, run func() int) int {
	var err error
	if *scratch, err = os.MkdirTemp("", name+"-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(*scratch) //nolint:errcheck // scratch
	return run()
}
