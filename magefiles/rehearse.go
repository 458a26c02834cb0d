//go:build mage

package main

import (
	"context"
	"os"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Up starts the local world, prints its addresses, and keeps it up until interrupted.
func (Rehearse) Up(ctx context.Context) error { return cli.Exit(cli.Up(ctx, os.Stdout)) }

// Reset forgets every rehearsed release: it removes dist/.
func (Rehearse) Reset() error { return cli.Exit(cli.Reset()) }
