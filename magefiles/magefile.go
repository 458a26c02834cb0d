//go:build mage

// Mero-tee builds, measures, signs, publishes and audits the releases of the
// key service (mero-kms) and of the node images (mero-tee). Without
// MERO_ENVIRONMENT=production everything below is rehearsed on this machine:
// through production's own code, on loopback, with nothing published.
//
// Begin with release:kms, verify:release TAG and release:report TAG -open. Before a
// release of your own: doctor, release:new and release:plan; in the middle of one:
// release:status. "go tool mage -h TARGET" says what a target takes, needs and leaves.
package main

// Help has arguments and examples on lines of their own:
//mage:multiline

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

// Doctor asks for what a release will need, and changes nothing.
// It shows every variable and secret, then a line for each check with the fix; exit code 10 when one would stop it.
//
//	-family=kms|node    one family alone; without it both
//	-steps=STEP,…       only what a job needs that performs these steps
//
// Needs: nothing; with MERO_ENVIRONMENT=production it asks the real services.
// Leaves: nothing.
// See: docs/doctor.md
// Example: go tool mage doctor -family=node
func Doctor(ctx context.Context, family, steps *string) error {
	return cli.Exit("doctor", cli.Doctor(ctx, os.Stdout, cli.Value(family), cli.Value(steps)))
}

// Sweep lists what interrupted runs left at the cloud providers.
//
//	-apply        delete what has expired
//	-unexpired    also what may still be in use: look first whether a release is running
//
// Needs: in production the providers' secrets; it names what the ledgers in dist/ and the labels at Google Cloud know.
// Leaves: nothing new; images of public releases stay.
// See: docs/releasing.md
// Example: go tool mage sweep -apply
func Sweep(ctx context.Context, apply, unexpired *bool) error {
	return cli.Exit("sweep", cli.Sweep(ctx, cli.Value(apply), cli.Value(unexpired)))
}

// Test runs every test of every module.
//
//	-short    without the race detector and without what takes long: a minute or two
//
// Needs: Go and git; some tests are skipped, and say so, without the Debian packages that doctor names.
// Leaves: nothing but Go's caches.
// Example: go tool mage test -short
func Test(ctx context.Context, short *bool) error {
	return cli.Exit("test", dev.Test(ctx, os.Stdout, cli.Value(short)))
}

// Lint runs every linter, whatever the others find.
// golangci-lint, gofmt, deadcode, actionlint, yamllint, ansible-lint, Packer's checks and go mod tidy -diff.
//
// Needs: Go; yamllint and ansible-lint from Debian, else they are skipped with a warning.
// Leaves: nothing; exit code 10 when one found something.
// Example: go tool mage lint
func Lint(ctx context.Context) error { return cli.Exit("lint", dev.Lint(ctx, ".", os.Stdout)) }

// Bench runs the benchmarks and timed rehearsals of both families.
//
//	-first    only the first command of a fresh clone with nothing compiled, and what each part of it costs
//
// Needs: what release:node needs, and a machine that does nothing else.
// Leaves: docs/performance.md.
// See: docs/performance.md
// Example: go tool mage bench -first
func Bench(ctx context.Context, first *bool) error {
	return cli.Exit("bench", dev.Bench(ctx, os.Stdout, cli.Value(first)))
}

// Fuzz runs every fuzz target for a while.
// As many run beside each other as there are cores; a find does not keep the others from running.
//
//	-seconds=N    how long each; 10 is the default
//
// Needs: Go.
// Leaves: an input that fails, in testdata/fuzz of its package.
// Example: go tool mage fuzz -seconds=30
func Fuzz(ctx context.Context, seconds *int) error {
	return cli.Exit("fuzz", dev.Fuzz(ctx, os.Stdout, ".", seconds))
}

// CI runs what the continuous integration runs.
// Lint, then test, then one whole rehearsed release of the key service.
//
// Needs: what lint, test and release:kms need.
// Leaves: what release:kms leaves.
// Example: go tool mage ci
func CI(ctx context.Context) error {
	mg.CtxDeps(ctx, Lint)
	if err := Test(ctx, nil); err != nil {
		return err
	}
	return Release{}.KMS(ctx, nil)
}
