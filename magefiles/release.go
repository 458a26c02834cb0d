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

// KMS releases the key service, from the guards to the promotion.
// Version, build, policy, measure, SBOM, provenance, checksums, sign, publish, audit, catalog, E2E, propose, promote.
// By default it is rehearsed: on this machine, with nothing published.
//
//	-tag=TAG    the release, mero-kms-vX.Y.Z; without it that of MERO_KMS_VERSION, in a rehearsal 0.1.0
//
// Needs: Go, git, and root or user namespaces; in production the variables and secrets of docs/configuration.md.
// Leaves: assets, ledger.jsonl and report.html in dist/TAG; in a rehearsal the local world in dist/rehearsal.
// See: docs/releasing.md
// Example: go tool mage release:kms -tag=mero-kms-v0.1.0
func (Release) KMS(ctx context.Context, tag *string) error {
	return cli.Release(ctx, release.KMS, "release:kms", tag, KMS.Promote)
}

// Node releases the node images, from the guards to the promotion.
// Version, build, measure, MRTDs, SBOM, provenance, checksums, sign, publish, audit, E2E, catalog, promote.
// By default it is rehearsed: on this machine, with nothing published; it takes some minutes.
//
//	-tag=TAG    the release, mero-tee-vX.Y.Z; without it that of MERO_TEE_VERSION, in a rehearsal 0.1.0
//
// Needs: what release:kms needs, and the Debian packages that doctor -family=node names.
// Leaves: assets, ledger.jsonl and report.html in dist/TAG; in a rehearsal the local world in dist/rehearsal.
// See: docs/releasing.md
// Example: go tool mage release:node -tag=mero-tee-v0.2.0
func (Release) Node(ctx context.Context, tag *string) error {
	return cli.Release(ctx, release.Node, "release:node", tag, Node.Promote)
}

// New prepares a release in the work tree, with the next free tag.
// Its notes from the class's template, the pair in the catalog and its pages; it prints the commands that are left.
//
//	-class=CLASS        stable (the default), candidate or hotfix
//	-family=kms|node    the key service (the default) or the node images
//	-with=X.Y.Z         the counterpart's version; without it the newest release of the other family
//
// Needs: git; in production GitHub is asked for the releases that exist.
// Leaves: docs/releases/TAG.md, and the pair in the catalog, docs/catalog.md and docs/compatibility.svg.
// See: docs/releases/README.md
// Example: go tool mage release:new -class=candidate -family=kms
func (Release) New(ctx context.Context, class, family, with *string) error {
	return cli.Exit("release:new", cli.New(ctx, os.Stdout, cli.Draft{Class: release.Class(cli.Value(class)),
		Family: cli.Value(family), With: cli.Value(with)}))
}

// Plan prints the class of a release, its rules, its steps and what it lacks.
//
//	-tag=TAG    the release; without it that of the version variables
//
// Needs: git; in production GitHub is asked for CI's verdict and for who may approve.
// Leaves: nothing.
// See: docs/releases/README.md
// Example: go tool mage release:plan -tag=mero-kms-v0.1.0-rc.1
func (Release) Plan(ctx context.Context, tag *string) error {
	return cli.Exit("release:plan", cli.Plan(ctx, os.Stdout, cli.Value(tag)))
}

// Status prints how far a release got, and what comes next.
//
//	-tag=TAG    the release; without it that of the version variables
//	-json       for programs
//
// Needs: nothing; it reads the ledger, dist/TAG/ledger.jsonl.
// Leaves: nothing.
// See: docs/releasing.md
// Example: go tool mage release:status -tag=mero-kms-v0.1.0
func (Release) Status(tag *string, json *bool) error {
	return cli.Exit("release:status", cli.Status(os.Stdout, cli.Value(tag), cli.Value(json)))
}

// Report writes a release as one page to look at.
// What was released, every check, what its machines measure and why, who signed it, and how long it took.
//
//	TAG      a release that was begun here, whatever became of it
//	-open    show it in a browser
//
// Needs: dist/TAG of that release; it asks nobody.
// Leaves: report.html and report.json in dist/TAG.
// Example: go tool mage release:report mero-kms-v0.1.0 -open
func (Release) Report(ctx context.Context, tag string, open *bool) error {
	return cli.Exit("release:report", cli.Report(ctx, os.Stdout, tag, cli.Value(open)))
}

// Prerelease releases the key service up to its E2E, and stops.
// What is left is an audited, tested pre-release; kms:propose and kms:promote finish it after an approval.
//
//	-tag=TAG    the release, mero-kms-vX.Y.Z; without it that of MERO_KMS_VERSION, in a rehearsal 0.1.0
//
// Needs: what release:kms needs.
// Leaves: what release:kms leaves, as a pre-release.
// See: docs/releasing.md
// Example: go tool mage release:prerelease -tag=mero-kms-v0.1.0
func (Release) Prerelease(ctx context.Context, tag *string) error {
	return cli.Release(ctx, release.KMS, "release:prerelease", tag, KMS.E2e)
}

// NodePrerelease releases the node images up to their E2E, and stops.
// What is left is an audited, tested pre-release; node:catalog and node:promote finish it after an approval.
//
//	-tag=TAG    the release, mero-tee-vX.Y.Z; without it that of MERO_TEE_VERSION, in a rehearsal 0.1.0
//
// Needs: what release:node needs.
// Leaves: what release:node leaves, as a pre-release.
// See: docs/releasing.md
// Example: go tool mage release:nodePrerelease -tag=mero-tee-v0.2.0
func (Release) NodePrerelease(ctx context.Context, tag *string) error {
	return cli.Release(ctx, release.Node, "release:nodePrerelease", tag, Node.E2e)
}

// Merge joins what several machines did of one release.
// What contradicts each other is refused with exit code 10, before anything is copied.
//
//	TAG    the release
//	DIR    has a folder for each machine, its dist/TAG; or is one of these
//
// Needs: the folders; each with the ledger of TAG and of this commit.
// Leaves: dist/TAG with their files, and one ledger.
// See: docs/commands.md
// Example: go tool mage release:merge mero-tee-v1.2.0 jobs
func (Release) Merge(ctx context.Context, tag, from string) error {
	return cli.Exit("release:merge", cli.Merge(ctx, tag, from))
}
