package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// The folder that the targets are read from may be one of the module's: whatever they import counts.
func TestFingerprintOfAFolder(t *testing.T) {
	t.Parallel()
	root := clone(t)
	inv := mage.Invocation{Dir: filepath.Join(root, "internal"), GoCmd: "go"}
	before, err := fingerprint(inv)
	require.NoError(t, err)
	replaced("beside.go", "package x\n")(t, root)
	after, err := fingerprint(inv)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
}

// A program is compiled once, again when something of the clone moved, and whenever somebody says so.
func TestCompiled(t *testing.T) {
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	t.Setenv("GOCACHE", strings.TrimSpace(string(cache))) // of the compiler, which would lie in the one that is set now
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	root := t.TempDir()
	replaced("go.mod", "module example.test/x\n\ngo 1.26.0\n")(t, root)
	hello := func(body string) {
		replaced("magefile.go", "//go:build mage\n\npackage main\n\nfunc Hello() { "+body+" }\n")(t, root)
	}
	hello(`print("1")`)
	inv := mage.Invocation{Dir: root, GoCmd: "go", Stdout: io.Discard, Stderr: io.Discard}
	build := func() (string, os.FileInfo) {
		program, code, err := compiled(inv)
		require.NoError(t, err)
		require.Zero(t, code)
		info, err := os.Stat(program)
		require.NoError(t, err)
		return program, info
	}
	first, one := build()
	again, same := build()
	require.Equal(t, first, again)
	require.True(t, os.SameFile(one, same), "it was compiled twice")
	inv.Force = true
	forced, other := build()
	require.Equal(t, first, forced)
	require.False(t, os.SameFile(one, other), "it was not compiled when it had to be")
	inv.Force = false
	hello(`print("22")`)
	changed, _ := build()
	require.NotEqual(t, first, changed)
	out, err := exec.Command(changed, "hello").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "22", string(out))
	hello("none")
	_, code, err := compiled(inv)
	require.NoError(t, err)
	require.NotZero(t, code, "what does not compile")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(first), "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{first, changed}, left)
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
