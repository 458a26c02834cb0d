//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// E2e runs one of the two end-to-end suites alone, with public releases; kms:e2e and node:e2e run both in a release.
type E2e mg.Namespace

// Node lets nodes of a public release get their keys from a public key service.
// It is the first of the two end-to-end suites, in five steps: deploy, boot, attestation, key release, cleanup.
// Exit code 10 when a check fails.
//
//	-kms=TAG     the key service's release; without it the newest public one
//	-node=TAG    the node images' release; without it the newest public one
//
// Needs: a public release of each family, which is audited first; in production the secrets of both providers.
// Leaves: nothing at the providers, and a ledger in dist/; sweep finds what an interrupted run left.
// See: docs/e2e.md
// Example: go tool mage e2e:node -kms=mero-kms-v0.1.0 -node=mero-tee-v0.1.0
func (E2e) Node(ctx context.Context, kms, node *string) error {
	return cli.Exit("e2e:node", cli.E2ENode(ctx, cli.Value(kms), cli.Value(node)))
}

// Guardrails tries what must hold between key services and nodes.
// It is the second of the two end-to-end suites: A versions, B profiles, C stale policies, D measurements.
// Exit code 10 when a check fails.
//
//	-kms=TAG     the key service's release; without it the newest public one
//	-node=TAG    the node images' release; without it the newest public one
//
// Needs: a public release of each family, which is audited first; in production the secrets of both providers.
// Leaves: nothing at the providers, and a ledger in dist/; sweep finds what an interrupted run left.
// See: docs/e2e.md
// Example: go tool mage e2e:guardrails
func (E2e) Guardrails(ctx context.Context, kms, node *string) error {
	return cli.Exit("e2e:guardrails", cli.E2EGuardrails(ctx, cli.Value(kms), cli.Value(node)))
}
