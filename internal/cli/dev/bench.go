package dev

import (
	"bytes"
	"context"
	"errors"
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
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// PerformancePage is where Bench writes its table.
const PerformancePage = "docs/performance.md"

var (
	benchLine = regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)
	benchFunc = regexp.MustCompile(`(?m)^func Benchmark\w+\(`)
)

// Bench times the commands that people wait for and runs every benchmark; if first, it measures the first command in an
// empty cache instead, which takes minutes. Each leaves what the other wrote.
func Bench(ctx context.Context, w io.Writer, first bool) error {
	if first {
		return First(ctx, w)
	}
	old, err := performancePage()
	if err != nil {
		return err
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Performance\n\nFor whoever asks how long it takes.\n\n"+
		"Written by `go tool mage bench` on %s, %s/%s, %d cores, %s.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if err := commands(ctx, w, &page); err != nil {
		return err
	}
	if err := benchmarks(ctx, w, &page); err != nil {
		return err
	}
	text := page.Bytes()
	if measured := firstOf(old); measured != "" {
		text = withFirst(text, measured)
	}
	return file.Write(PerformancePage, text, 0o644)
}

// performancePage is the page as it is; nil where there is none.
func performancePage() ([]byte, error) {
	page, err := os.ReadFile(PerformancePage)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return page, err
}

// commands times whole commands, warm, with dist/ in a folder of their own.
func commands(ctx context.Context, w io.Writer, page io.Writer) error {
	dist, remove, err := file.Temp("dist")
	if err != nil {
		return err
	}
	defer remove()
	_, _ = fmt.Fprint(page, "\n## Commands\n\nWarm: programs and packages are compiled, the base image is made.\n\n"+
		"| command | target | measured |\n|---|---|---|\n")
	var steps strings.Builder
	for _, c := range []struct{ title, target, command string }{
		{"`go tool mage -l`", "0.5 s", "-l"},
		{"`go tool mage release:kms`, dist/ empty", "20 s", "release:kms"},
		{"`go tool mage release:kms`, again", "", "release:kms"},
		{"`go tool mage verify:release`, 22 assets", "", "verify:release mero-kms-v0.1.0"},
		{"`go tool mage release:node`, after a key service", "120 s", "release:node"},
		{"`go tool mage release:node`, again", "", "release:node -tag=mero-tee-v0.2.0"},
		{"`go tool mage verify:release -offline`, a node release", "1 s", "verify:release mero-tee-v0.2.0 -offline=" +
			filepath.Join(dist, "mero-tee-v0.2.0", "assets")},
	} {
		took, said, err := timed(ctx, w, dist, c.command)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(page, "| %s | %s | %.2f s |\n", c.title, c.target, took.Seconds())
		if c.target != "" {
			writeSteps(&steps, c.command, said)
		}
	}
	_, err = io.WriteString(page, steps.String())
	return err
}

var stepLine = regexp.MustCompile(`(?m)^\[INFO\] ((?:kms|node):\S+ +\d+\.\d\d s|critical path .*)$`)

// writeSteps copies the table with which a whole release ends.
func writeSteps(page io.Writer, command, said string) {
	lines := stepLine.FindAllStringSubmatch(said, -1)
	if len(lines) == 0 {
		return
	}
	_, _ = fmt.Fprintf(page, "\nThe steps of `%s`:\n\n```text\n", command)
	for _, l := range lines {
		_, _ = fmt.Fprintln(page, l[1])
	}
	_, _ = fmt.Fprint(page, "```\n")
}

// timed runs a command and returns what it said.
func timed(ctx context.Context, w io.Writer, dist, command string) (time.Duration, string, error) {
	args := append([]string{"tool", "mage"}, strings.Fields(command)...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "MERO_DIST="+dist)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, "", &fault.Error{Code: fault.General, Step: "bench", Message: command, Err: err, Got: out.String()}
	}
	took := time.Since(start)
	_, _ = fmt.Fprintf(w, "[INFO] %s: %.2f s\n", command, took.Seconds())
	return took, out.String(), nil
}

// benchmarks runs every package that has some.
func benchmarks(ctx context.Context, w io.Writer, page io.Writer) error {
	dirs, err := benchDirs(ctx, ".")
	if err != nil {
		return err
	}
	_, _ = fmt.Fprint(page, "\n## Benchmarks\n\n| benchmark | result |\n|---|---|\n")
	for _, dir := range dirs {
		var out bytes.Buffer
		if err := goTool(ctx, io.MultiWriter(w, &out), ".", "test", "-run=^$", "-bench=.", "-benchmem",
			"./"+dir); err != nil {
			return err
		}
		for _, m := range benchLine.FindAllStringSubmatch(out.String(), -1) {
			_, _ = fmt.Fprintf(page, "| %s %s | %s |\n", dir, m[1], m[2])
		}
	}
	return nil
}

// benchDirs lists the folders of the module in root whose tests declare benchmarks, each once, in order.
func benchDirs(ctx context.Context, root string) (dirs []string, err error) {
	top, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	err = testSources(ctx, root, func(_, dir string, source []byte) error {
		below, err := filepath.Rel(top, dir)
		if dir = filepath.Join(root, below); benchFunc.Match(source) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		return err
	})
	return dirs, err
}
