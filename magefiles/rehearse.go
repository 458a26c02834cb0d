//go:build mage

package main

import (
	"context"
	"os"

	"github.com/calimero-network/mero-tee/internal/door"
)

// Up starts the local world, prints its addresses, and keeps it up until interrupted.
func (Rehearse) Up(ctx context.Context) error { return door.Exit(door.Up(ctx, os.Stdout)) }

// Reset forgets every rehearsed release: it removes dist/.
func (Rehearse) Reset() error { return door.Exit(door.Reset()) }
