package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/magefile/mage/mage"
	"github.com/stretchr/testify/require"
)

// clone is a folder with a module, and beside it a folder that a link leads to.
func clone(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"clone/go.mod": "module example.test/x\n\ngo 1.26.0\n", "clone/internal/a.go": "package internal\n",
		"clone/.git/index": "1", "clone/dist/ledger.jsonl": "1", "beside/main.go": "package main\n",
	} {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	require.NoError(t, os.Symlink(filepath.Join(root, "beside"), filepath.Join(root, "clone", "magefiles")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(root, "clone", "dangling")))
	return filepath.Join(root, "clone")
}

// Whatever a compilation may read makes another program; what a release leaves, and git, do not.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(t *testing.T, clone string)
		same   bool
	}{
		"nothing":  {func(*testing.T, string) {}, true},
		"a file":   {replaced("internal/a.go", "package internal // b\n"), false},
		"its time": {func(t *testing.T, c string) { later(t, filepath.Join(c, "internal/a.go")) }, false},
		"one more": {replaced("internal/b.txt", ""), false},
		"one less": {func(t *testing.T, c string) {
			require.NoError(t, os.Remove(filepath.Join(c, "internal/a.go")))
		}, false},
		"a link": {replaced("magefiles/main.go", "package main // c\n"), false},
		"dist":   {replaced("dist/ledger.jsonl", "12"), true},
		"git":    {replaced(".git/index", "12"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inv := mage.Invocation{Dir: clone(t), GoCmd: "go"}
			before, err := fingerprint(inv)
			require.NoError(t, err)
			tc.change(t, inv.Dir)
			after, err := fingerprint(inv)
			require.NoError(t, err)
			require.Equal(t, tc.same, before == after)
		})
	}
}

func replaced(name, content string) func(*testing.T, string) {
	return func(t *testing.T, clone string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(clone, name), []byte(content), 0o600))
	}
}

func later(t *testing.T, path string) {
	t.Helper()
	at := time.Now().Add(time.Minute)
	require.NoError(t, os.Chtimes(path, at, at))
}

func TestACompilerThatIsNone(t *testing.T) {
	t.Parallel()
	_, err := fingerprint(mage.Invocation{Dir: clone(t), GoCmd: filepath.Join(t.TempDir(), "go")})
	require.ErrorContains(t, err, "go env")
}

// Programs that nobody runs go: of this clone soon, of others later, and with the last one its folder.
func TestForget(t *testing.T) {
	t.Parallel()
	targets, now := t.TempDir(), time.Now()
	ages := map[string]time.Duration{"own/mage-new": 0, "own/mage-used": ownAge / 2, "own/mage-old": 2 * ownAge,
		"other/mage-used": otherAge / 2, "gone/mage-old": 2 * otherAge, "gone/mage-old.7.new": 2 * otherAge}
	for name, age := range ages {
		path := filepath.Join(targets, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chtimes(path, now.Add(-age), now.Add(-age)))
	}
	require.NoError(t, forget(filepath.Join(targets, "own"), now))
	left, err := filepath.Glob(filepath.Join(targets, "*", "*"))
	require.NoError(t, err)
	for i := range left {
		left[i], err = filepath.Rel(targets, left[i])
		require.NoError(t, err)
	}
	require.ElementsMatch(t, []string{"own/mage-new", "own/mage-used", "other/mage-used"}, left)
	require.NoDirExists(t, filepath.Join(targets, "gone"))
}
