//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
	"github.com/calimero-network/mero-tee/internal/cli/dev"
	"github.com/calimero-network/mero-tee/internal/cli/lint"
)

// Test runs every test of every module, with the race detector where a C compiler is at hand.
func Test(ctx context.Context) error { return cli.Exit(dev.Test(ctx, os.Stdout)) }

// Lint runs gofmt, go vet, staticcheck, actionlint, yamllint, ansible-lint, packer fmt and validate, and go mod tidy -diff over the repository.
func Lint(ctx context.Context) error { return cli.Exit(lint.Run(ctx, ".", os.Stdout)) }

// Bench runs the benchmarks and a timed rehearsal, and writes docs/performance.md.
func Bench(ctx context.Context) error { return cli.Exit(dev.Bench(ctx, os.Stdout)) }

// Fuzz runs every fuzz target for a while. [-seconds=10]
func Fuzz(ctx context.Context, seconds *int) error {
	return cli.Exit(dev.Fuzz(ctx, os.Stdout, seconds))
}

// CI runs what the continuous integration runs: lint, tests and one whole rehearsed release.
func CI(ctx context.Context) error {
	mg.SerialCtxDeps(ctx, Lint, Test)
	return Release{}.KMS(ctx, nil)
}
