//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Release runs a whole pipeline and shows how far one got.
type Release mg.Namespace

// KMS releases the key service: version, build, policy, measure, SBOM, provenance, checksums, sign, publish, audit,
// catalog, E2E, propose, promote. [-tag=mero-kms-vX.Y.Z]
func (Release) KMS(ctx context.Context, tag *string) error {
	return cli.Release(ctx, release.KMS, "release:kms", tag, KMS.Promote)
}

// Prerelease runs steps 1 to 11 and stops at an audited, tested pre-release; `kms:propose` and `kms:promote`
// finish it after an approval. [-tag=mero-kms-vX.Y.Z]
func (Release) Prerelease(ctx context.Context, tag *string) error {
	return cli.Release(ctx, release.KMS, "release:prerelease", tag, KMS.E2e)
}

// Node releases the node images: version, Packer build, measure, MRTDs, SBOM, provenance, checksums, sign, publish,
// audit, E2E, catalog, promote. [-tag=mero-tee-vX.Y.Z]
func (Release) Node(ctx context.Context, tag *string) error {
	return cli.Release(ctx, release.Node, "release:node", tag, Node.Promote)
}

// NodePrerelease runs the steps of a node release up to its E2E and stops; `node:catalog` and `node:promote` finish it
// after an approval. [-tag=mero-tee-vX.Y.Z]
func (Release) NodePrerelease(ctx context.Context, tag *string) error {
	return cli.Release(ctx, release.Node, "release:nodePrerelease", tag, Node.E2e)
}

// Plan prints the class of a release, the rules that follow, what it still lacks, and its steps; it changes nothing.
// [-tag=…]
func (Release) Plan(ctx context.Context, tag *string) error {
	return cli.Exit("release:plan", cli.Plan(ctx, os.Stdout, cli.Value(tag)))
}

// Status prints what the ledger holds of a release; it changes nothing. [-tag=…] [-json]
func (Release) Status(tag *string, json *bool) error {
	return cli.Exit("release:status", cli.Status(os.Stdout, cli.Value(tag), cli.Value(json)))
}

// New prepares a release in the work tree: the next free tag of a class (stable, candidate or hotfix), its notes from
// the template, the pair in the catalog; it prints what is left to do. [-class=stable] [-family=kms|node] [-with=X.Y.Z]
func (Release) New(ctx context.Context, class, family, with *string) error {
	return cli.Exit("release:new", cli.New(ctx, os.Stdout, cli.Draft{Class: release.Class(cli.Value(class)),
		Family: cli.Value(family), With: cli.Value(with)}))
}

// Report writes dist/{tag}/report.html and report.json: what was released, every check, what its machines measure and
// why, who signed it, and how long it took; -open shows it. TAG [-open]
func (Release) Report(ctx context.Context, tag string, open *bool) error {
	return cli.Exit("release:report", cli.Report(ctx, os.Stdout, tag, cli.Value(open)))
}

// Merge joins what the jobs of a release did side by side into dist/{tag}; what contradicts each other is refused, exit
// 10. TAG DIR, which has a folder for each job
func (Release) Merge(ctx context.Context, tag, from string) error {
	return cli.Exit("release:merge", cli.Merge(ctx, tag, from))
}
