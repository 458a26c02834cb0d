//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Guard runs the guards alone.
type Guard mg.Namespace

// All runs guards 2, 3 and 4 for the release that the configuration or -tag names; it releases nothing. [-tag=…]
func (Guard) All(ctx context.Context, tag *string) error {
	return cli.Exit("guard:all", cli.Guards(ctx, cli.Value(tag)))
}

// Selftest runs each guard against a case in which it must fire.
func (Guard) Selftest() error { return cli.Exit("guard:selftest", cli.GuardSelfTest()) }

// Docs is guard 1: a change of release files since BASE needs a change of their documentation.
func (Guard) Docs(ctx context.Context, base string) error {
	return cli.Exit("guard:docs", cli.GuardDocs(ctx, base))
}
