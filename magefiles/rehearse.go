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

// Up keeps the local world running until Ctrl-C, and prints its addresses.
// For crane, docker pull, gh or a browser: GitHub, GHCR, Sigstore, the clouds, each under its real name.
//
// Needs: MERO_ENVIRONMENT unset or rehearsal; no other command that works with dist/rehearsal.
// Leaves: dist/rehearsal as it was, with authority.pem, the certificate of this run's hosts.
// See: docs/architecture.md
// Example: go tool mage rehearse:up
func (Rehearse) Up(ctx context.Context) error {
	return cli.Exit("rehearse:up", cli.Up(ctx, os.Stdout))
}

// Contracts prints the rules of the real services that the local world enforces.
// Each with its source, the test in which it fires, and how sure it is; and what the local world is known to lack.
//
// Needs: nothing.
// Leaves: nothing.
// See: docs/architecture.md
// Example: go tool mage rehearse:contracts
func (Rehearse) Contracts() error { return cli.Exit("rehearse:contracts", cli.Contracts(os.Stdout)) }

// Reset forgets every rehearsed release.
//
// Needs: nothing.
// Leaves: nothing: dist/ is removed, whatever is in it.
// Example: go tool mage rehearse:reset
func (Rehearse) Reset() error { return cli.Exit("rehearse:reset", cli.Reset()) }
