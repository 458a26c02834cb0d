//go:build mage

package main

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Recent checks the N newest public releases of each family, as verify:release does. N
func (Verify) Recent(ctx context.Context, n int) error { return cli.Exit(cli.VerifyRecent(ctx, n)) }
