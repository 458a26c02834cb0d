//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Measurement explains what machines measure.
type Measurement mg.Namespace

// Diff shows which registers moved from one node release to another, by the event, package and file that moved them. FROM TO
func (Measurement) Diff(ctx context.Context, from, to string) error {
	return cli.Exit(cli.RegisterDiff(ctx, os.Stdout, from, to))
}
