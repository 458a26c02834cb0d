//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Guard runs the guards alone.
type Guard mg.Namespace

// All runs the guards of a release, and releases nothing.
// Guard 2 (versions agree), 3 (the counterpart fits) and 4 (no ALLOWED_* anywhere); exit code 10 when one fires.
//
//	-tag=TAG    the release; without it that of the version variables
//
// Needs: git; in a rehearsal it first releases a simulated counterpart, in production it asks GitHub.
// Leaves: in a rehearsal the counterpart in dist/rehearsal; else nothing.
// Example: go tool mage guard:all -tag=mero-kms-v0.1.0
func (Guard) All(ctx context.Context, tag *string) error {
	return cli.Exit("guard:all", cli.Guards(ctx, cli.Value(tag)))
}

// Selftest runs each guard against cases in which it must fire.
//
// Needs: nothing.
// Leaves: nothing; exit code 10 when a guard does not fire.
// Example: go tool mage guard:selftest
func (Guard) Selftest() error { return cli.Exit("guard:selftest", cli.GuardSelfTest()) }

// Docs is guard 1: release files change together with their documentation.
// Exit code 10 when a file that changed since BASE has no page that changed with it.
//
//	BASE    a commit, a branch or a tag to compare the work tree's commit with
//
// Needs: git, and BASE in the clone.
// Leaves: nothing.
// See: docs/catalog.md
// Example: go tool mage guard:docs HEAD
func (Guard) Docs(ctx context.Context, base string) error {
	return cli.Exit("guard:docs", cli.GuardDocs(ctx, base))
}
