//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// KMS releases the key service: version, build, policy, measure, SBOM, checksums, sign, publish, audit, catalog, E2E, promote. [-tag=mero-kms-vX.Y.Z]
func (Release) KMS(ctx context.Context, tag *string) error {
	ctx, d := cli.Open(ctx, "release:kms", cli.Whole(), cli.Tag(tag))
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Promote)
	return d.Report()
}

// Prerelease runs steps 1 to 11 and stops at an audited, tested pre-release; `kms:promote` finishes it after an approval. [-tag=mero-kms-vX.Y.Z]
func (Release) Prerelease(ctx context.Context, tag *string) error {
	ctx, d := cli.Open(ctx, "release:prerelease", cli.Whole(), cli.Tag(tag))
	defer d.Close()
	mg.CtxDeps(ctx, KMS.E2e)
	return d.Report()
}

// Node releases the node images: version, Packer build, measure, MRTDs, SBOM, checksums, sign, publish, audit, E2E, catalog, promote. [-tag=mero-tee-vX.Y.Z]
func (Release) Node(ctx context.Context, tag *string) error {
	ctx, d := cli.Open(ctx, "release:node", cli.Whole(), cli.Tag(tag))
	defer d.Close()
	mg.CtxDeps(ctx, Node.Promote)
	return d.Report()
}

// NodePrerelease runs the steps of a node release up to its E2E and stops; `node:catalog` and `node:promote` finish it after an approval. [-tag=mero-tee-vX.Y.Z]
func (Release) NodePrerelease(ctx context.Context, tag *string) error {
	ctx, d := cli.Open(ctx, "release:nodePrerelease", cli.Whole(), cli.Tag(tag))
	defer d.Close()
	mg.CtxDeps(ctx, Node.E2e)
	return d.Report()
}

// Plan prints the class of a release, the rules that follow, what it still lacks, and its steps; it changes nothing. [-tag=…]
func (Release) Plan(ctx context.Context, tag *string) error {
	return cli.Exit(cli.Plan(ctx, os.Stdout, tag))
}

// Status prints what the ledger holds of a release; it changes nothing. [-tag=…] [-json]
func (Release) Status(tag *string, json *bool) error {
	return cli.Exit(cli.Status(os.Stdout, tag, json))
}
