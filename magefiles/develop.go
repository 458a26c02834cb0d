//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
	"github.com/calimero-network/mero-tee/internal/cli/dev"
)

// Test runs every test of every module. -short leaves out the race detector and what takes long. [-short]
func Test(ctx context.Context, short *bool) error {
	return cli.Exit(dev.Test(ctx, os.Stdout, short != nil && *short))
}

// Lint runs golangci-lint, gofmt, deadcode, actionlint, yamllint, ansible-lint, Packer's checks and go mod tidy -diff.
func Lint(ctx context.Context) error { return cli.Exit(dev.Lint(ctx, ".", os.Stdout)) }

// Bench runs the benchmarks and a timed rehearsal, and writes docs/performance.md.
func Bench(ctx context.Context) error { return cli.Exit(dev.Bench(ctx, os.Stdout)) }

// Fuzz runs every fuzz target for a while. [-seconds=10]
func Fuzz(ctx context.Context, seconds *int) error {
	return cli.Exit(dev.Fuzz(ctx, os.Stdout, seconds))
}

// CI runs what the continuous integration runs: lint, tests and one whole rehearsed release.
func CI(ctx context.Context) error {
	mg.CtxDeps(ctx, Lint)
	if err := Test(ctx, nil); err != nil {
		return err
	}
	return Release{}.KMS(ctx, nil)
}
