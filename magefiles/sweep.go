//go:build mage

package main

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Sweep lists what interrupted runs left at the cloud providers; with -apply it deletes that, with -unexpired also what may still be in use. [-apply] [-unexpired]
func Sweep(ctx context.Context, apply, unexpired *bool) error {
	return cli.Exit(cli.Sweep(ctx, apply, unexpired))
}
