package dev

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// TestMain: under the name of the go command this program stands in for it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "go" {
		os.Exit(standIn(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// standIn answers as go does for the first command: it says where modules are,
// and "compiles" syft in a go command of its own, which goes on until it is told to.
func standIn(args []string) int {
	dir := filepath.Dir(os.Args[0])
	switch strings.Join(args[:2], " ") {
	case "env -json":
		fmt.Println(`{"GOMODCACHE":"/modules","GOPROXY":"off"}`)
	case "tool mage":
		for _, name := range []string{"HOME", "GOCACHE", "GOMODCACHE", "GOFLAGS", "MERO_DIST"} {
			fmt.Printf("%s=%s\n", name, os.Getenv(name))
		}
		data, err := os.ReadFile("file")
		fmt.Println("the clone's file:", string(data), err)
		cmd := exec.Command(os.Args[0], "build", "-C", "tools/syft", "-o", "/x/syft", ".")
		cmd.Stdout = os.Stdout
		if err := cmd.Run(); err != nil {
			return 1
		}
		if _, err := os.Stat(filepath.Join(dir, "fail")); err == nil {
			fmt.Fprintln(os.Stderr, "[ERROR] it does not compile")
			return 7
		}
	case "build -C":
		for used := time.Duration(0); used < 200*time.Millisecond; {
			var usage syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // of this process, which there is
			used = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		}
		fmt.Println("burnt")
		_, _ = os.ReadFile(filepath.Join(dir, "go on")) // a pipe that ends when the test has looked
	}
	return 0
}

// stage is a repository with one commit and a stand-in for go; whoever reads what the command says looks at its
// processes when it is burning, and lets it go on.
func stage(t *testing.T) (b *beginning, w io.Writer, dir string) {
	t.Helper()
	dir = t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "go")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "go on"), 0o600))
	root := filepath.Join(dir, "repository")
	require.NoError(t, os.MkdirAll(root, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), []byte("committed"), 0o600))
	for _, args := range [][]string{{"init", "-q"}, {"add", "file"}, {"-c", "user.name=Ann", "-c",
		"user.email=ann@example.org", "-c", "commit.gpgSign=false", "commit", "-q", "-m", "One"}} {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), []byte("changed since"), 0o600))
	ticks := make(chan time.Time)
	at := time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC)
	clock := func() time.Time { at = at.Add(time.Second); return at } // a second for each question
	return &beginning{root: root, program: filepath.Join(dir, "go"), now: clock, ticks: ticks, proc: os.DirFS("/proc")},
		writerFunc(func(p []byte) (int, error) {
			if bytes.Contains(p, []byte("burnt")) {
				for range 2 { // the second is taken when the first look is over
					ticks <- at
				}
				if err := os.WriteFile(filepath.Join(dir, "go on"), nil, 0o600); err != nil {
					return 0, err
				}
			}
			return len(p), nil
		}), dir
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// The first command runs in a clone of what was committed, with an empty home, this machine's modules and none of its
// settings; what it compiles is told apart, and nothing of it is left.
func TestTheFirstCommandIsMeasured(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc here")
	}
	t.Setenv("MERO_DIST", "/somewhere")
	t.Setenv("GOFLAGS", "-mod=mod")
	b, w, _ := stage(t)
	var said bytes.Buffer
	m, err := b.measure(t.Context(), io.MultiWriter(&said, w))
	require.NoError(t, err, "%s", said.String())
	lines := map[string]string{}
	for line := range strings.Lines(said.String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		lines[name] = value
	}
	require.NotContains(t, []string{"", os.Getenv("HOME")}, lines["HOME"])
	require.NoDirExists(t, lines["HOME"], "it was there for this run")
	require.Equal(t, filepath.Join(lines["HOME"], ".cache", "go-build"), lines["GOCACHE"])
	require.Equal(t, "/modules", lines["GOMODCACHE"])
	require.Empty(t, lines["GOFLAGS"]+lines["MERO_DIST"])
	require.Contains(t, said.String(), "the clone's file: committed <nil>")
	require.Len(t, m.Commit, 40)
	require.Equal(t, "2026-11-28", m.Date)
	require.Equal(t, "syft", m.Parts[0].name)
	require.GreaterOrEqual(t, m.Parts[0].cpu, 0.1)
	require.GreaterOrEqual(t, m.CPU.Seconds(), 0.19)
	require.Positive(t, m.Silence)
	require.Greater(t, m.Wall, m.Silence)
}

// A first command that fails is an error with what it said, and no number.
func TestAFirstCommandThatFails(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc here")
	}
	b, w, dir := stage(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fail"), nil, 0o600))
	m, err := b.measure(t.Context(), w)
	require.Nil(t, m)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.General, f.Code)
	require.Contains(t, f.Got, "[ERROR] it does not compile")
	b.root = filepath.Join(dir, "nowhere")
	_, err = b.measure(t.Context(), w)
	require.ErrorAs(t, err, &f)
	require.Equal(t, "git clone", f.Message)
	b.root, b.program = dir+"/repository", filepath.Join(dir, "no go")
	_, err = b.measure(t.Context(), w)
	require.ErrorAs(t, err, &f)
	require.Equal(t, "go env", f.Message)
}

// The longest silence is the longest time without a whole line, from the start and to the end; the one before is named.
func TestSilence(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		said    []string // each with the second in which it is said
		end     int
		longest time.Duration
		after   string
	}{
		"at the start":  {[]string{"9 a\n", "10 b\n"}, 12, 9 * time.Second, ""},
		"in between":    {[]string{"1 a\n", "9 b\n"}, 10, 8 * time.Second, "a"},
		"at the end":    {[]string{"1 a\n", "2 b\n"}, 30, 28 * time.Second, "b"},
		"half a line":   {[]string{"1 a\nhal", "5 f\n"}, 6, 4 * time.Second, "a"},
		"many at once":  {[]string{"1 a\nb\nc\n"}, 3, 2 * time.Second, "c"},
		"the first one": {[]string{"2 a\n", "4 b\n"}, 6, 2 * time.Second, ""},
		"nothing":       {nil, 7, 7 * time.Second, ""},
	} {
		at := start
		l := &listener{now: func() time.Time { return at }, last: start}
		for _, s := range c.said {
			second, text, _ := strings.Cut(s, " ")
			after, err := time.ParseDuration(second + "s")
			require.NoError(t, err)
			at = start.Add(after)
			n, err := l.Write([]byte(text))
			require.NoError(t, err)
			require.Len(t, text, n)
		}
		l.hear(start.Add(time.Duration(c.end)*time.Second), "")
		require.Equal(t, c.longest, l.longest, name)
		require.Equal(t, c.after, l.after, name)
	}
}

func TestTheSectionOfTheFirstCommand(t *testing.T) {
	t.Parallel()
	m := &measured{Date: "2026-11-28", Commit: strings.Repeat("ab", 20), CPU: 100 * time.Second, Wall: 61 * time.Second,
		Silence: 12 * time.Second, After: "[INFO] a | b `c` \x1b[2J", Parts: []part{{"the targets", 60}, {"syft", 20.25}}}
	text := m.section()
	for _, want := range []string{"fresh clone of abababababab,", "| CPU, of all its processes | 100.0 s |",
		"| from start to end | 61.0 s |", "12.0 s, after `[INFO] a \\| b 'c' \\x1b[2J` |", "| the targets | 60.0 s |",
		"| syft | 20.2 s |", "| the rest: the release itself | 19.8 s |", "20 times a second"} {
		require.Contains(t, text, want)
	}
	m.After, m.Parts = "", nil
	require.Contains(t, m.section(), "| the longest time without a line | 12.0 s, at the start |")
	require.Contains(t, m.section(), "not told apart")
}

// The section is written beside the others, and each of the two measurements leaves what the other wrote.
func TestThePageKeepsBothMeasurements(t *testing.T) {
	t.Parallel()
	const page = "# Performance\n\n## Commands\n\na\n\n## Benchmarks\n\nb\n"
	one := string(withFirst([]byte(page), firstHeading+"\n\nx\n\n"))
	require.Equal(t, page+"\n"+firstHeading+"\n\nx\n", one)
	two := withFirst([]byte(one), firstHeading+"\n\ny\n")
	require.Equal(t, page+"\n"+firstHeading+"\n\ny\n", string(two))
	require.Equal(t, firstHeading+"\n\ny\n", firstOf(two))
	middle := "# P\n\n" + firstHeading + "\n\nx\n\n## Benchmarks\n\nb\n"
	require.Equal(t, "# P\n\n"+firstHeading+"\n\ny\n\n## Benchmarks\n\nb\n",
		string(withFirst([]byte(middle), firstHeading+"\n\ny\n")))
	require.Equal(t, "# Performance\n\n"+firstHeading+"\n\ny\n", string(withFirst(nil, firstHeading+"\n\ny\n")))
	require.Empty(t, firstOf([]byte(page)))
}
