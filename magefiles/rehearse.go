//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Rehearse looks after the local world.
type Rehearse mg.Namespace

// Up starts the local world, prints its addresses, and keeps it up until interrupted.
func (Rehearse) Up(ctx context.Context) error {
	return cli.Exit("rehearse:up", cli.Up(ctx, os.Stdout))
}

// Contracts prints the rules of the real services that the local world enforces, and what it is known to lack.
func (Rehearse) Contracts() error { return cli.Exit("rehearse:contracts", cli.Contracts(os.Stdout)) }

// Reset forgets every rehearsed release: it removes dist/.
func (Rehearse) Reset() error { return cli.Exit("rehearse:reset", cli.Reset()) }
