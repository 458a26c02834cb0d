package gobuild_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
)

const hello = "package main\n\nimport _ \"embed\"\n\n//go:embed said.txt\nvar said string\n\n" +
	"var version = \"none\"\n\nfunc main() { print(said, version) }\n"

// module is a program of its own without dependencies.
func module(t *testing.T) gobuild.Spec {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.test/hello\n\ngo 1.26.0\n")
	write(t, dir, "main.go", hello)
	write(t, dir, "said.txt", "hello ")
	return gobuild.Spec{Name: "hello", Module: dir, Package: ".", CacheDir: t.TempDir()}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
}

// log counts the lines that say a compilation starts.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func run(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program).CombinedOutput()
	require.NoError(t, err)
	return string(out)
}

func TestBuildsOnceAndSaysSo(t *testing.T) {
	t.Parallel()
	s, l := module(t), &log{}
	s.LDFlags = "-X main.version=1"
	first, err := gobuild.Build(t.Context(), s, l.add)
	require.NoError(t, err)
	require.Equal(t, "hello 1", run(t, first))
	again, err := gobuild.Build(t.Context(), s, l.add)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Len(t, l.lines, 1)
	require.Contains(t, l.lines[0], "compiling hello")
	left, err := os.ReadDir(filepath.Dir(first))
	require.NoError(t, err)
	require.Len(t, left, 2, "the program and the lock")
}

func TestEveryInputChangesTheKey(t *testing.T) {
	t.Parallel()
	base := module(t)
	first, err := gobuild.Build(t.Context(), base, func(string) {})
	require.NoError(t, err)
	for name, change := range map[string]func(*testing.T, *gobuild.Spec){
		"source":   func(t *testing.T, s *gobuild.Spec) { write(t, s.Module, "main.go", hello+"// changed\n") },
		"embedded": func(t *testing.T, s *gobuild.Spec) { write(t, s.Module, "said.txt", "good bye ") },
		"go.mod": func(t *testing.T, s *gobuild.Spec) {
			write(t, s.Module, "go.mod", "module example.test/h\n\ngo 1.26.0\n")
		},
		"go.sum":  func(t *testing.T, s *gobuild.Spec) { write(t, s.Module, "go.sum", "") },
		"ldflags": func(_ *testing.T, s *gobuild.Spec) { s.LDFlags = "-X main.version=2" },
		"env":     func(_ *testing.T, s *gobuild.Spec) { s.Env = []string{"GOAMD64=v2"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := module(t)
			s.CacheDir = base.CacheDir
			change(t, &s)
			path, err := gobuild.Build(t.Context(), s, func(string) {})
			require.NoError(t, err)
			require.NotEqual(t, first, path)
		})
	}
	t.Run("tests and place do not", func(t *testing.T) {
		t.Parallel()
		s := module(t)
		s.CacheDir = base.CacheDir
		write(t, s.Module, "main_test.go", "package main\n")
		path, err := gobuild.Build(t.Context(), s, func(string) {})
		require.NoError(t, err)
		require.Equal(t, first, path)
	})
}

func TestConcurrentBuildsCompileOnce(t *testing.T) {
	t.Parallel()
	s, l := module(t), &log{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := gobuild.Build(t.Context(), s, l.add)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	waits := func(line string) bool { return strings.HasPrefix(line, "waiting for hello, ") }
	require.Len(t, slices.DeleteFunc(l.lines, waits), 1)
}

// The environment of a cross-compiling caller must not leak a foreign target.
func TestForeignEnvironmentIsIgnored(t *testing.T) { //nolint:paralleltest // sets the environment
	for name, value := range map[string]string{"GOOS": "windows", "GOARCH": "riscv64", "GOFLAGS": "-mod=vendor -tags=x",
		"GOWORK": "/nowhere/go.work"} {
		t.Setenv(name, value)
	}
	t.Chdir(t.TempDir())
	s := module(t)
	path, err := gobuild.Build(t.Context(), s, func(string) {})
	require.NoError(t, err)
	require.Equal(t, "hello none", run(t, path))
}

func TestFailures(t *testing.T) {
	t.Parallel()
	broken := module(t)
	write(t, broken.Module, "main.go", "package main\n\nfunc main() { undefined() }\n")
	empty := module(t)
	empty.Module = t.TempDir()
	unpinned := module(t)
	write(t, unpinned.Module, "main.go", "package main\n\nimport _ \"example.test/elsewhere\"\n\nfunc main() {}\n")
	for name, c := range map[string]struct {
		spec gobuild.Spec
		want string
	}{
		"does not compile": {broken, "undefined: undefined"},
		"no module":        {empty, "not the root of a Go module"},
		"not pinned":       {unpinned, "example.test/elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := gobuild.Build(t.Context(), c.spec, func(string) {})
			require.ErrorContains(t, err, c.want)
			require.Equal(t, fault.General, fault.CodeOf(err))
			for _, leftover := range []string{"hello", ".build-*"} {
				found, err := filepath.Glob(filepath.Join(c.spec.CacheDir, "*", leftover))
				require.NoError(t, err)
				require.Empty(t, found)
			}
		})
	}
}

func TestWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	s := module(t)
	program, err := gobuild.Build(t.Context(), s, func(string) {})
	require.NoError(t, err)
	require.NoError(t, os.Remove(program))
	other, err := os.Open(filepath.Join(filepath.Dir(program), ".lock"))
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, syscall.Flock(int(other.Fd()), syscall.LOCK_EX))
	ctx, cancel := context.WithCancel(t.Context())
	var said []string
	_, err = gobuild.Build(ctx, s, func(line string) { said = append(said, line); cancel() })
	require.ErrorContains(t, err, "another process works in")
	require.Equal(t, []string{"waiting for hello, which is being compiled"}, said, "it compiles without the lock")
}
