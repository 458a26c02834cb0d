// Package dev is what the people who work on this repository run: tests,
// fuzzing and benchmarks over every module.
//
// Its promise: it runs what is there, prints what it runs, and never turns a
// failure into a success.
package dev

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// modules are the folders whose go.mod has tests of ours.
func modules() []string { return []string{".", "tools/sigstore"} }

// Test runs `go test` in every module.
func Test(ctx context.Context, w io.Writer) error {
	args := []string{"test", "-timeout=40m"}
	if err := hasCompiler(ctx); err == nil {
		args = append(args, "-race")
	} else {
		_, _ = fmt.Fprintf(w, "[WARN] without the race detector, which needs cgo: %v\n", err)
	}
	for _, dir := range modules() {
		if err := goTool(ctx, w, dir, append(args, "./...")...); err != nil {
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
	_, _ = fmt.Fprintf(w, "[INFO] %s: go %s\n", dir, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, w, os.Stderr
	if err := cmd.Run(); err != nil {
		return &fault.Error{Code: fault.General, Step: args[0], Message: "go " + strings.Join(args, " ") + " in " + dir, Err: err}
	}
	return nil
}
