//go:build mage

package main

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Release checks a public release as a stranger would: one line per check, exit 10 when one fails, 11 when an asset is missing. TAG [-quick] [-offline=DIR]
func (Verify) Release(ctx context.Context, tag string, quick *bool, offline *string) error {
	return cli.Exit(cli.Verify(ctx, tag, quick, offline))
}
