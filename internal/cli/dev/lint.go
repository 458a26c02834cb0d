package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/node/packer"
)

// linter returns what it finds as text, "" for nothing.
type linter struct {
	name string
	run  func(context.Context) (findings string, err error)
}

// Lint runs every linter over the repository at root, whatever the others find, and prints a line for each linter and
// every finding to out. The linters of Go are those that tools/ pins. Findings are fault.Verification.
func Lint(ctx context.Context, root string, out io.Writer) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	all, err := linters(root, out)
	if err != nil {
		return err
	}
	findings, errs := make([]string, len(all)), make([]error, len(all))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range all {
		g.Go(func() error {
			findings[i], errs[i] = l.run(ctx)
			return nil // the others go on
		})
	}
	_ = g.Wait()
	return report(out, all, findings, errs)
}

func report(out io.Writer, all []linter, findings []string, errs []error) error {
	var failed []string
	for i, l := range all {
		switch {
		case errors.Is(errs[i], exec.ErrNotFound):
			fmt.Fprintf(out, "[WARN] %s: skipped, it is not installed (Debian: apt-get install %s)\n", l.name, l.name)
			errs[i] = nil
		case errs[i] != nil:
			errs[i] = &fault.Error{Code: fault.General, Message: l.name, Err: errs[i]}
		case findings[i] == "":
			fmt.Fprintf(out, "[PASS] %s\n", l.name)
		default:
			fmt.Fprintf(out, "[FAIL] %s\n%s\n", l.name, findings[i])
			failed = append(failed, l.name)
		}
	}
	if len(failed) > 0 {
		message := "lint: findings of " + strings.Join(failed, ", ")
		errs = append(errs, &fault.Error{Code: fault.Verification, Message: message})
	}
	return errors.Join(errs...)
}

func linters(root string, out io.Writer) ([]linter, error) {
	modules, err := filepath.Glob(filepath.Join(root, "tools", "*", "go.mod"))
	if err != nil {
		return nil, err
	}
	var all []linter
	for _, file := range append([]string{filepath.Join(root, "go.mod")}, modules...) {
		dir := filepath.Dir(file)
		in := func(name string) string { rel, _ := filepath.Rel(root, dir); return name + " in " + rel }
		sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return nil, err
		}
		if dir == root || len(sources) > 0 { // the others only pin a tool
			all = append(all, golangciLint(root, dir, in("golangci-lint"), out))
		}
		all = append(all, command(in("go mod tidy"), dir, "go", "mod", "tidy", "-diff"))
	}
	workflows, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yaml"))
	if err != nil {
		return nil, err
	}
	folders, err := filepath.Glob(filepath.Join(root, "*"))
	if err != nil {
		return nil, err
	}
	folders = slices.DeleteFunc(folders, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.IsDir() || info.Name() == "dist" // where releases are made
	})
	pinned := []string{"go", "tool", "-modfile=" + filepath.Join(root, "tools", "lint", "go.mod")}
	// What else is installed must not change the result: no shellcheck, no pyflakes.
	actionlint := append(slices.Clip(pinned), "actionlint", "-shellcheck=", "-pyflakes=")
	all = append(all,
		// golangci-lint sees neither testdata nor what is for other systems.
		command("gofmt", root, append([]string{"gofmt", "-d"}, folders...)...),
		linter{"deadcode", func(ctx context.Context) (string, error) { return deadCode(ctx, root, pinned) }},
		command("actionlint", root, append(actionlint, workflows...)...),
		command("yamllint", root, "yamllint", "--strict", "."))
	return append(all, imageLinters(root)...), nil
}

// command is a linter that exits with a code other than 0 when it finds something.
func command(name, dir string, argv ...string) linter {
	return linter{name, func(ctx context.Context) (string, error) {
		said, code, err := start(ctx, dir, argv...)
		if err != nil || code == 0 {
			return "", err
		}
		return strings.TrimSpace(fmt.Sprintf("%s\n%s: exit status %d", said, name, code)), nil
	}}
}

// start runs a program in dir and returns what it wrote and its exit code.
func start(ctx context.Context, dir string, argv ...string) (said []byte, code int, err error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	said, err = cmd.CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() == nil && errors.As(err, &exit) {
		return said, exit.ExitCode(), nil
	}
	return said, 0, err
}

// golangciLint judges the module in dir by .golangci.yaml. It is a program of a module of its own, whose versions
// differ from the other linters'; compiling it takes a minute or more, so out says when that happens.
func golangciLint(root, dir, name string, out io.Writer) linter {
	return linter{name, func(ctx context.Context) (string, error) {
		program, err := gobuild.Build(ctx, gobuild.Spec{
			Name: "golangci-lint", Module: filepath.Join(root, "tools", "golangci-lint"), LDFlags: "-s -w",
			Package: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint",
		}, func(line string) { _, _ = fmt.Fprintln(out, "[INFO] "+line) })
		if err != nil {
			return "", err
		}
		config := "--config=" + filepath.Join(root, ".golangci.yaml")
		return command(name, dir, program, "run", config, "--allow-parallel-runners", "--show-stats=false").run(ctx)
	}}
}

// onlyForTests names, by folder or file, what tests alone may call.
var onlyForTests = []string{
	"internal/base/browser/",              // how a page looks
	"internal/base/hang/",                 // how long a test waits
	"internal/pipeline/releasetest/",      // what the tests of whole releases share
	"internal/rehearsal/actions/",         // GitHub Actions, which run the release workflows in a test
	"internal/rehearsal/gce/discovery/",   // what Google says of its API
	"internal/rehearsal/gce/inprocess/",   // a Compute Engine without machines
	"internal/rehearsal/github/faults.go", // a GitHub that fails
	"internal/rehearsal/github/people.go", // somebody who merges a pull request
	"internal/rehearsal/hosts.go",         // a host that falls behind
	"internal/rehearsal/keyservice/",      // a key service that lies
	"internal/rehearsal/outside.go",       // what a test does that stands outside of a release
	"internal/rehearsal/sigstore/events",  // a Sigstore that refuses, and one that rotates its root
	"internal/rehearsal/tdxsim/",          // platforms that no release runs on
}

// deadCode lists what no program reaches. The programs are the main packages, and magefiles/main.go for Mage's own.
func deadCode(ctx context.Context, root string, pinned []string) (string, error) {
	argv := append(slices.Clip(pinned), "deadcode", "-tags=mage,deadcode", "./...")
	said, code, err := start(ctx, root, argv...)
	if err != nil {
		return "", err
	}
	if code != 0 { // it does not compile
		return string(said), nil
	}
	var findings []string
	for line := range strings.Lines(string(said)) {
		if !slices.ContainsFunc(onlyForTests, func(place string) bool { return strings.HasPrefix(line, place) }) {
			findings = append(findings, strings.TrimSuffix(line, "\n"))
		}
	}
	return strings.Join(findings, "\n"), nil
}

// imageLinters look at what makes the node images.
func imageLinters(root string) []linter {
	var all []linter
	if exists(filepath.Join(root, "packer", "node.pkr.hcl")) {
		all = append(all, linter{"packer", func(ctx context.Context) (string, error) { return templates(ctx, root) }})
	}
	if exists(filepath.Join(root, "ansible", "node.yml")) {
		all = append(all, command("ansible-lint", filepath.Join(root, "ansible"),
			"ansible-lint", "--offline", "--strict", "--nocolor", "node.yml", "roles"))
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// templates runs `packer fmt -check` and `packer validate` of the pinned Packer.
func templates(ctx context.Context, root string) (string, error) {
	p, err := packer.Prepare(ctx, root, func(string) {})
	if err != nil {
		return "", err
	}
	var findings []string
	for _, check := range []func(context.Context) error{p.Format, p.Validate} {
		finding, err := found(check(ctx))
		if err != nil {
			return "", err
		}
		if finding != "" {
			findings = append(findings, finding)
		}
	}
	return strings.Join(findings, "\n"), nil
}

// found tells what a check says about the repository from a check that could not be made.
func found(err error) (string, error) {
	var f *fault.Error
	if fault.CodeOf(err) != fault.Verification || !errors.As(err, &f) {
		return "", err
	}
	return f.Message + ": " + f.Got, nil
}
