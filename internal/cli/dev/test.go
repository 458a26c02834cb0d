// Package dev is what the people who work on this repository run over every
// module: tests, linters, fuzzing and benchmarks.
//
// Its promise: it runs what is there, prints what it runs, and never turns a
// failure into a success.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// modules are the folders whose go.mod has tests of ours.
func modules() []string { return []string{".", "tools/sigstore"} }

// withoutRace are the packages that are tested without the race detector, with what it cost on two cores (2026-11-26).
// The first five make whole releases: they start programs of this repository, which are built without it. What runs at
// once in a release is tested with it in packages of its own: pipeline, steps, publish, sign, audit.
var withoutRace = []string{
	"internal/cli",
	"internal/cli/workflow/walk",
	"internal/pipeline/kmsrelease",
	"internal/pipeline/noderelease",
	"internal/rehearsal",
	"internal/verify/guard",       // functions of a text, without a goroutine: 19 s instead of 1.5 s
	"internal/artifact/signature", // thousands of forged bundles, one after the other: 64 s instead of 7 s
}

// hung is when a package's tests are called hung. The longest took 35 min beside twenty busy processes on two cores
// (2026-11-28).
const hung = "-timeout=80m"

// Test runs `go test` in every module, with the race detector where it pays, and each benchmark once. If short, it runs
// without either, and tests skip what a developer does not want to wait for.
func Test(ctx context.Context, w io.Writer, short bool) error {
	plain, race := []string{"test", hung}, false
	if short {
		plain = append(plain, "-short")
	} else if err := hasCompiler(ctx); err != nil {
		_, _ = fmt.Fprintf(w, "[WARN] without the race detector, which needs cgo: %v\n", err)
	} else {
		race = true
	}
	var errs []error
	for _, dir := range modules() {
		rest := []string{"./..."}
		if race {
			packages, err := list(ctx, dir)
			if err != nil {
				return err
			}
			rest = slices.DeleteFunc(slices.Clone(packages), raced)
			packages = slices.DeleteFunc(packages, func(pkg string) bool { return !raced(pkg) })
			errs = append(errs, goTool(ctx, w, dir, slices.Concat([]string{"test", hung, "-race"}, packages)...))
		}
		if len(rest) > 0 {
			errs = append(errs, goTool(ctx, w, dir, append(plain, rest...)...))
		}
	}
	if !short {
		errs = append(errs, benchOnce(ctx, w, race))
	}
	return errors.Join(errs...)
}

// benchOnce shows that each benchmark still runs: nobody calls them but Bench, which people run now and then.
func benchOnce(ctx context.Context, w io.Writer, race bool) error {
	dirs, err := benchDirs(ctx, ".")
	if err != nil {
		return err
	}
	args := []string{"test", "-run=^$", "-bench=.", "-benchtime=1x"}
	if race { // as they were compiled for their tests
		args = append(args, "-race")
	}
	for _, dir := range dirs {
		args = append(args, "./"+dir)
	}
	return goTool(ctx, w, ".", args...)
}

// raced says whether the race detector pays in a package.
func raced(pkg string) bool {
	return !slices.ContainsFunc(withoutRace, func(dir string) bool { return strings.HasSuffix(pkg, "/"+dir) })
}

// list returns the import paths of a module's packages.
func list(ctx context.Context, dir string) ([]string, error) {
	return listed(ctx, dir, "{{.ImportPath}}")
}

// listed are the lines that a template makes of a module's packages.
func listed(ctx context.Context, dir, template string) (lines []string, err error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", template, "./...")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", dir, err)
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// testSources shows each file of a module's tests, with the import path and the
// folder of its package. To ask the tests what is in them would compile each.
func testSources(ctx context.Context, dir string, see func(pkg, dir string, source []byte) error) error {
	const file = `{{$p.ImportPath}} {{$p.Dir}}/{{.}}{{"\n"}}{{end}}`
	files, err := listed(ctx, dir, "{{$p := .}}{{range .TestGoFiles}}"+file+"{{range .XTestGoFiles}}"+file)
	if err != nil {
		return err
	}
	for _, line := range files {
		pkg, path, _ := strings.Cut(line, " ")
		source, err := os.ReadFile(path)
		if err == nil {
			err = see(pkg, filepath.Dir(path), source)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hasCompiler says why the race detector cannot run; nil when it can.
func hasCompiler(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "env", "CGO_ENABLED", "CC").Output()
	if err != nil {
		return err
	}
	enabled, cc, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if enabled != "1" {
		return fmt.Errorf("CGO_ENABLED is %s", enabled)
	}
	_, err = exec.LookPath(cc)
	return err
}

// goTool runs the go command in dir and says so.
func goTool(ctx context.Context, w io.Writer, dir string, args ...string) error {
	const shown = 6 // the command, its flags, and a package or two
	said := strings.Join(args[:min(shown, len(args))], " ")
	if more := len(args) - shown; more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	_, _ = fmt.Fprintf(w, "[INFO] %s: go %s\n", dir, said)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, w, os.Stderr
	if err := cmd.Run(); err != nil {
		return &fault.Error{Code: fault.General, Step: args[0], Message: "go " + args[0] + " in " + dir, Err: err}
	}
	return nil
}
