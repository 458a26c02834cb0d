//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// E2e runs one of the two end-to-end suites alone, with public releases; kms:e2e and node:e2e run both in a release.
type E2e mg.Namespace

// Node boots nodes from released images and lets each get its key from the released key service, in the spec's five
// steps; without a tag, of the newest public releases. [-kms=TAG] [-node=TAG]
func (E2e) Node(ctx context.Context, kms, node *string) error {
	return cli.Exit("e2e:node", cli.E2ENode(ctx, cli.Value(kms), cli.Value(node)))
}

// Guardrails tries what must hold between key service and nodes: A versions, B profiles, C stale policies, D
// measurements; without a tag, of the newest public releases. [-kms=TAG] [-node=TAG]
func (E2e) Guardrails(ctx context.Context, kms, node *string) error {
	return cli.Exit("e2e:guardrails", cli.E2EGuardrails(ctx, cli.Value(kms), cli.Value(node)))
}
