// Package lint runs every linter over the repository.
//
// Its promise: all linters run, whatever the others find; all findings are
// printed; and the tools are the pinned ones of tools/lint, not the machine's.
package lint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// linter runs in dir and returns what it finds as text, "" for nothing.
type linter struct {
	name string
	run  func(context.Context) (findings string, err error)
}

// Run lints the repository at root and prints one line per linter and every
// finding to out. Findings are fault.Verification.
func Run(ctx context.Context, root string, out io.Writer) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	all, err := linters(root)
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
		errs = append(errs, &fault.Error{Code: fault.Verification, Message: "lint: findings of " + strings.Join(failed, ", ")})
	}
	return errors.Join(errs...)
}

func linters(root string) ([]linter, error) {
	sources, err := goFiles(root)
	if err != nil {
		return nil, err
	}
	modules, err := filepath.Glob(filepath.Join(root, "tools", "*", "go.mod"))
	if err != nil {
		return nil, err
	}
	all := []linter{{"gofmt", func(context.Context) (string, error) { return unformatted(root, sources) }}}
	pinned := "-modfile=" + filepath.Join(root, "tools", "lint", "go.mod")
	for _, file := range append([]string{filepath.Join(root, "go.mod")}, modules...) {
		dir := filepath.Dir(file)
		in := func(name string) string { rel, _ := filepath.Rel(root, dir); return name + " in " + rel }
		all = append(all, command(in("go mod tidy"), dir, "go", "mod", "tidy", "-diff"))
		if !hasSource(dir, sources) {
			continue // a module that only pins a tool
		}
		all = append(all, command(in("go vet"), dir, "go", "vet", "-tags=mage", "./..."),
			command(in("staticcheck"), dir, "go", "tool", pinned, "staticcheck", "-tags=mage", "./..."))
	}
	workflows, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yaml"))
	if err != nil {
		return nil, err
	}
	// What else is installed must not change the result: no shellcheck, no pyflakes.
	actionlint := append([]string{"go", "tool", pinned, "actionlint", "-shellcheck=", "-pyflakes="}, workflows...)
	all = append(all, command("actionlint", root, actionlint...), command("yamllint", root, "yamllint", "--strict", "."))
	return append(all, imageLinters(root)...), nil
}

// command is a linter that exits with a code other than 0 when it finds something.
func command(name, dir string, argv ...string) linter {
	return linter{name, func(ctx context.Context) (string, error) {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir = dir
		said, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if ctx.Err() == nil && errors.As(err, &exit) {
			return strings.TrimSpace(fmt.Sprintf("%s\n%s: %v", said, name, err)), nil
		}
		return "", err
	}}
}

// goFiles lists the repository's Go files, without what a release or a rehearsal left in dist.
func goFiles(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || path == filepath.Join(root, "dist")):
			return filepath.SkipDir
		case d.Type().IsRegular() && filepath.Ext(path) == ".go":
			files = append(files, path)
		}
		return nil
	})
	return files, err
}
