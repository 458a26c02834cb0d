//go:build mage

// Mero-tee builds, measures, signs, publishes and audits the releases of the
// key service (mero-kms) and of the node images (mero-tee). Without
// MERO_ENVIRONMENT=production everything below is rehearsed on this machine:
// through production's own code, on loopback, with nothing published.
//
// Begin with release:kms, verify:release TAG and release:report TAG -open. Before a
// release of your own: doctor, release:new and release:plan; in the middle of one:
// release:status. `go tool mage -h TARGET` says what a target takes.
package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
	"github.com/calimero-network/mero-tee/internal/cli/dev"
)

// Aliases are the names that the spec's scripts had.
var Aliases = map[string]any{
	"BuildKMS":            KMS.Build,
	"GenPolicy":           KMS.Policy,
	"Publish":             KMS.Publish,
	"Audit":               KMS.Audit,
	"BuildNode":           Node.Build,
	"CollectMeasurements": Node.Measure,
}

// Doctor shows every variable and secret and asks for what a release will need, changing nothing; exit 10 when one
// would stop it. [-family=kms|node] [-steps=kms:version,kms:build: only what a job needs that performs them]
func Doctor(ctx context.Context, family, steps *string) error {
	return cli.Exit("doctor", cli.Doctor(ctx, os.Stdout, cli.Value(family), cli.Value(steps)))
}

// Sweep lists what interrupted runs left at the cloud providers; with -apply it deletes that, with -unexpired also what
// may still be in use. [-apply] [-unexpired]
func Sweep(ctx context.Context, apply, unexpired *bool) error {
	return cli.Exit("sweep", cli.Sweep(ctx, cli.Value(apply), cli.Value(unexpired)))
}

// Test runs every test of every module. -short leaves out the race detector and what takes long. [-short]
func Test(ctx context.Context, short *bool) error {
	return cli.Exit("test", dev.Test(ctx, os.Stdout, cli.Value(short)))
}

// Lint runs golangci-lint, gofmt, deadcode, actionlint, yamllint, ansible-lint, Packer's checks and go mod tidy -diff.
func Lint(ctx context.Context) error { return cli.Exit("lint", dev.Lint(ctx, ".", os.Stdout)) }

// Bench runs the benchmarks and a timed rehearsal, and writes docs/performance.md; with -first the first command of a
// fresh clone with nothing compiled, and what each part of it costs. [-first]
func Bench(ctx context.Context, first *bool) error {
	return cli.Exit("bench", dev.Bench(ctx, os.Stdout, cli.Value(first)))
}

// Fuzz runs every fuzz target for a while. [-seconds=10]
func Fuzz(ctx context.Context, seconds *int) error {
	return cli.Exit("fuzz", dev.Fuzz(ctx, os.Stdout, seconds))
}

// CI runs what the continuous integration runs: lint, tests and one whole rehearsed release.
func CI(ctx context.Context) error {
	mg.CtxDeps(ctx, Lint)
	if err := Test(ctx, nil); err != nil {
		return err
	}
	return Release{}.KMS(ctx, nil)
}
