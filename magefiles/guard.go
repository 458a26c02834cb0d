//go:build mage

package main

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/door"
)

// All runs guards 2, 3 and 4 for the release that the configuration or -tag names; it releases nothing. [-tag=…]
func (Guard) All(ctx context.Context, tag *string) error { return door.Exit(door.Guards(ctx, tag)) }

// Selftest runs each guard against a case in which it must fire.
func (Guard) Selftest() error { return door.Exit(door.GuardSelfTest()) }

// Docs is guard 1: a change of release files since BASE needs a change of their documentation.
func (Guard) Docs(ctx context.Context, base string) error {
	return door.Exit(door.GuardDocs(ctx, base))
}
