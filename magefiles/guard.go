//go:build mage

package main

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// All runs guards 2, 3 and 4 for the release that the configuration or -tag names; it releases nothing. [-tag=…]
func (Guard) All(ctx context.Context, tag *string) error { return cli.Exit(cli.Guards(ctx, tag)) }

// Selftest runs each guard against a case in which it must fire.
func (Guard) Selftest() error { return cli.Exit(cli.GuardSelfTest()) }

// Docs is guard 1: a change of release files since BASE needs a change of their documentation.
func (Guard) Docs(ctx context.Context, base string) error {
	return cli.Exit(cli.GuardDocs(ctx, base))
}
