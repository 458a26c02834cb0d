package dev

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
)

// firstCommand is what the README lets people begin with.
const firstCommand = "release:kms"

// First measures the first command that somebody runs in a fresh clone, with
// nothing compiled, and writes its section of docs/performance.md. What is not
// committed is not in the clone.
func First(ctx context.Context, w io.Writer) error {
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	m, err := (&beginning{root: ".", program: "go", now: time.Now, ticks: t.C, proc: os.DirFS("/proc")}).measure(ctx, w)
	if err != nil {
		return err
	}
	old, err := performancePage()
	if err != nil {
		return err
	}
	return file.Write(PerformancePage, withFirst(old, m.section()), 0o644)
}

const sampleEvery = 50 * time.Millisecond

// beginning is how the first command is run.
type beginning struct {
	root    string // of the repository that is cloned
	program string // the go command
	now     func() time.Time
	ticks   <-chan time.Time // when processes are looked at
	proc    fs.FS            // the folder /proc
}

// measured is what the first command cost.
type measured struct {
	Date, Commit string
	CPU, Wall    time.Duration // of all processes that were waited for; from start to end
	Silence      time.Duration // the longest time without a line
	After        string        // the line before it, empty for the start
	Parts        []part
}

// measure runs the command in a clone with a home of its own, and writes its lines to w as they come.
func (b *beginning) measure(ctx context.Context, w io.Writer) (*measured, error) {
	dir, remove, err := file.Temp("first")
	if err != nil {
		return nil, err
	}
	defer remove()
	clone, home := filepath.Join(dir, "clone"), filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		return nil, err
	}
	said, err := exec.CommandContext(ctx, "git", "clone", "--quiet", b.root, clone).CombinedOutput()
	if err != nil {
		return nil, stopped("git clone", err, said)
	}
	commit, err := exec.CommandContext(ctx, "git", "-C", clone, "rev-parse", "HEAD").Output()
	if err != nil {
		return nil, stopped("git rev-parse", err, nil)
	}
	environment, err := b.environment(ctx, home)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.program, "tool", "mage", firstCommand)
	cmd.Dir, cmd.Env = clone, environment
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it clears up
	m, err := b.run(cmd, w)
	if err != nil {
		return nil, err
	}
	m.Commit, m.Date = strings.TrimSpace(string(commit)), b.now().UTC().Format(time.DateOnly)
	_, _ = fmt.Fprintf(w, "[INFO] %s, the first command: %.2f s of CPU, %.2f s, silent for %.2f s\n", firstCommand,
		m.CPU.Seconds(), m.Wall.Seconds(), m.Silence.Seconds())
	return m, nil
}

func stopped(what string, err error, said []byte) error {
	const most = 4000 // bytes of what it said last
	return &fault.Error{Code: fault.General, Step: "bench", Message: what, Err: err,
		Got: string(said[max(0, len(said)-most):])}
}

// environment is that of somebody who has just logged in: nothing compiled, and
// none of the variables that change what is compiled or rehearsed.
func (b *beginning) environment(ctx context.Context, home string) ([]string, error) {
	modules, err := gobuild.Modules(ctx, b.program) // a home of its own would hide them
	if err != nil {
		return nil, stopped("go env", err, nil)
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return slices.ContainsFunc([]string{"GO", "MERO_", "MAGEFILE_", "XDG_", "GITHUB_", "HOME="},
			func(prefix string) bool { return strings.HasPrefix(v, prefix) })
	})
	return append(append(env, modules...), "HOME="+home, "GOCACHE="+filepath.Join(home, ".cache", "go-build")), nil
}

// run runs the command and looks at its processes at each tick.
func (b *beginning) run(cmd *exec.Cmd, w io.Writer) (*measured, error) {
	begin := b.now()
	heard := &listener{now: b.now, last: begin}
	var said bytes.Buffer
	cmd.Stdout = io.MultiWriter(heard, &said, w)
	cmd.Stderr = cmd.Stdout
	wait, err := child.Start(cmd, syscall.SIGINT)
	if err != nil {
		return nil, stopped(firstCommand, err, nil)
	}
	s := newSampler(b.proc, cmd.Process.Pid)
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-b.ticks:
				s.look()
			case <-done:
				return
			}
		}
	})
	err = wait()
	close(done)
	looking.Wait()
	if err != nil {
		return nil, stopped(firstCommand, err, said.Bytes())
	}
	end := b.now()
	heard.hear(end, "")
	return &measured{CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), Wall: end.Sub(begin),
		Silence: heard.longest, After: heard.after, Parts: s.byName()}, nil
}

// listener finds the longest time in which a command writes no whole line.
type listener struct {
	now     func() time.Time
	part    []byte // of a line that has not ended
	last    time.Time
	line    string // the last one
	longest time.Duration
	after   string
}

// Write takes what the command writes, when it does.
func (l *listener) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	for {
		line, rest, ended := bytes.Cut(l.part, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		l.hear(l.now(), string(line))
		l.part = bytes.Clone(rest)
	}
}

func (l *listener) hear(at time.Time, line string) {
	if silent := at.Sub(l.last); silent > l.longest {
		l.longest, l.after = silent, l.line
	}
	l.last, l.line = at, line
}

const firstHeading = "## The first command"

const firstIntroduction = firstHeading + "\n\n`go tool mage %s` in a fresh clone of %.12s, with an empty home and" + `
nothing compiled, measured by ` + "`go tool mage bench -first`" + ` on %s, %s/%s, %d cores, %s.
The modules were in this machine's module cache: downloading them comes on top.

| what | measured |
|---|---|
| CPU, of all its processes | %.1f s |
| from start to end | %.1f s |
| the longest time without a line | %.1f s, %s |

| compiled | CPU |
|---|---|
`

const firstNote = `
What is not in the table was not compiled. The parts are read from /proc %d times a second: of each its last moment
may be among the rest.
`

// section is what the page says of it.
func (m *measured) section() string {
	after := "at the start"
	if m.After != "" {
		after = "after `" + quoted(m.After) + "`"
	}
	var b strings.Builder
	fmt.Fprintf(&b, firstIntroduction, firstCommand, m.Commit, m.Date, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		runtime.Version(), m.CPU.Seconds(), m.Wall.Seconds(), m.Silence.Seconds(), after)
	rest := m.CPU.Seconds()
	for _, p := range m.Parts {
		rest -= p.cpu
		fmt.Fprintf(&b, "| %s | %.1f s |\n", quoted(p.name), p.cpu)
	}
	if len(m.Parts) == 0 {
		b.WriteString("| not told apart: this system has no /proc | |\n")
	}
	fmt.Fprintf(&b, "| the rest: the release itself | %.1f s |\n", max(0, rest))
	fmt.Fprintf(&b, firstNote, time.Second/sampleEvery)
	return b.String()
}

// quoted is a text as it fits a table's cell.
func quoted(text string) string {
	const most = 100 // characters
	runes := []rune(console.Safe(text))
	if len(runes) > most {
		runes = append(runes[:most], '…')
	}
	return strings.NewReplacer("`", "'", "|", `\|`).Replace(string(runes))
}

var firstSection = regexp.MustCompile(`(?ms)^` + firstHeading + `\n.*?(?:\n(## )|\z)`)

// firstOf is the section that a page has, empty for none.
func firstOf(page []byte) string {
	at := firstSection.FindSubmatchIndex(page)
	switch {
	case at == nil:
		return ""
	case at[2] >= 0: // the next section begins there
		return string(page[at[0]:at[2]])
	}
	return string(page[at[0]:at[1]])
}

// withFirst is a page with this section, in the place of the one that it had or at its end.
func withFirst(page []byte, section string) []byte {
	section = strings.TrimRight(section, "\n") + "\n"
	if old := firstOf(page); old != "" {
		if !strings.HasSuffix(string(page), old) {
			section += "\n"
		}
		return []byte(strings.Replace(string(page), old, section, 1))
	}
	if len(page) == 0 {
		page = []byte("# Performance\n")
	}
	return []byte(strings.TrimRight(string(page), "\n") + "\n\n" + section)
}
