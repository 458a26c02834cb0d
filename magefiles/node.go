//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Node has the single steps of a node image release.
type Node mg.Namespace

// Version runs the guards (step 1).
// Tag and version agree, counterpart and catalog fit, no ALLOWED_* anywhere; it also decides the release's class.
//
// Needs: git; the version is MERO_TEE_VERSION, in a rehearsal 0.1.0.
// Leaves: plan.json and the guards' results in dist/TAG/work; what was judged of the variables is in the ledger.
// Example: go tool mage node:version
func (Node) Version(ctx context.Context) error { return cli.Step(ctx, release.Node, "version") }

// Build builds the image of each profile with Packer and Ansible (step 2).
// At Google Cloud in production; in a rehearsal in a chroot on this machine.
//
//	-profile=P    one profile alone; without it all three, side by side
//
// Needs: node:version, which it brings; the Debian packages that doctor -family=node names; in production GCP_*.
// Leaves: image-record-{profile}.json in dist/TAG/assets; the image, in a rehearsal in dist/rehearsal/gce/images.
// See: docs/node-image.md
// Example: go tool mage node:build -profile=debug
func (Node) Build(ctx context.Context, profile *string) error {
	return cli.ProfileStep(ctx, release.Node, "build", profile, Node.Version)
}

// Measure boots each image as a TDX VM and verifies its quotes (step 3).
// Two machines and a reboot of one of them, which must agree with each other and with the image's record.
//
//	-profile=P    one profile alone; without it all three, side by side
//
// Needs: node:build of the same profiles, which it brings; in production GCP_*, and ITA_API_KEY for a stable release.
// Leaves: evidence-{profile}.json in dist/TAG/assets; the machines are deleted.
// See: docs/measurements.md
// Example: go tool mage node:measure -profile=debug
func (Node) Measure(ctx context.Context, profile *string) error {
	return cli.ProfileStep(ctx, release.Node, "measure", profile, mg.F(nodeBuild, cli.Value(profile)))
}

// Mrtds writes published-mrtds.json from what the boots proved (step 4).
//
// Needs: node:measure of every profile, which it brings.
// Leaves: published-mrtds.json in dist/TAG/assets.
// See: docs/measurements.md
// Example: go tool mage node:mrtds
func (Node) Mrtds(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "mrtds", mg.F(nodeMeasure, ""))
}

// SBOM lists what is in the images, from their records.
//
// Needs: node:build of every profile, which it brings.
// Leaves: sbom.spdx.json in dist/TAG/assets.
// Example: go tool mage node:sbom
func (Node) SBOM(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "sbom", mg.F(nodeBuild, ""))
}

// Provenance says what the images were made of, by whom, and what came out.
//
// Needs: node:mrtds and node:sbom, which it brings.
// Leaves: provenance.intoto.jsonl in dist/TAG/assets.
// See: docs/provenance.md
// Example: go tool mage node:provenance
func (Node) Provenance(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "provenance", Node.Mrtds, Node.SBOM)
}

// Checksums writes the SHA-256 of every asset.
//
// Needs: node:provenance, which it brings.
// Leaves: checksums.sha256 in dist/TAG/assets.
// Example: go tool mage node:checksums
func (Node) Checksums(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "checksums", Node.Provenance)
}

// Sign signs every asset and the checksums, without a key of ours (step 5).
// A bundle that verifies already is kept.
//
// Needs: node:checksums, which it brings; in production the identity of a workflow (id-token: write).
// Leaves: ASSET.sigstore.json beside each asset in dist/TAG/assets, and an entry in the transparency log.
// Example: go tool mage node:sign
func (Node) Sign(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "sign", Node.Checksums)
}

// Publish fills a draft, audits it, and makes it a public pre-release (step 5).
//
// Needs: node:sign, which it brings; in production GITHUB_TOKEN with contents: write.
// Leaves: a pre-release on GitHub, in a rehearsal in dist/rehearsal/github/releases/TAG. It never changes again.
// Example: go tool mage node:publish
func (Node) Publish(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "publish", Node.Sign)
}

// Audit reads the public release as a stranger and judges it (step 6).
//
// Needs: node:publish, which it brings.
// Leaves: audit.json, checks-audit.json and moved.json in dist/TAG/work.
// Example: go tool mage node:audit
func (Node) Audit(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "audit", Node.Publish)
}

// E2e boots nodes from the released images and lets them get keys (step 7).
// Both suites: a node gets its own key, and is refused where it must be. Exit code 10 when a stable release fails.
//
// Needs: node:audit, which it brings; in production GCP_*, PHALA_CLOUD_API_KEY and ITA_API_KEY.
// Leaves: e2e.json and evidence.json in dist/TAG/work, and nothing at the providers.
// See: docs/e2e.md
// Example: go tool mage node:e2e
func (Node) E2e(ctx context.Context) error { return cli.Step(ctx, release.Node, "e2e", Node.Audit) }

// Catalog opens a pull request with what E2E found (step 8).
// The tested catalog entries of a stable release, and the evidence, of a candidate too.
//
// Needs: node:e2e, which it brings; in production GITHUB_TOKEN with contents and pull-requests: write.
// Leaves: a pull request on GitHub, from branch catalog/TAG; in a rehearsal on the local one.
// See: docs/catalog.md
// Example: go tool mage node:catalog
func (Node) Catalog(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "catalog", Node.E2e)
}

// Promote makes a stable release the latest one.
// A candidate stays a pre-release, and so does a stable release without its E2E, its catalog entry or its approval.
//
// Needs: node:catalog, which it brings; in production the approval of the environment release-auditor.
// Leaves: the release as the latest on GitHub, and approval.json in dist/TAG/work when somebody approved it.
// Example: go tool mage node:promote
func (Node) Promote(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "promote", Node.Catalog)
}

// Boot boots an image's disk for real, on an emulated machine, and attacks it.
// It judges what the disk measures, runs and opens, and what attacks on it do; exit code 10 when a check fails.
//
//	-profile=P    the image of this profile alone; without it each that was built for the current tag
//	-disk=FILE    this raw disk, in place of a built image
//	-control      boot a disk, too, on which the attacks must work
//
// Needs: node:build in a rehearsal, or FILE; Debian's qemu-system-x86 ovmf swtpm swtpm-tools, else it is skipped.
// Leaves: report.md, report.json and each machine's serial port and TPM record in dist/boot/PROFILE.
// See: docs/commands.md
// Example: go tool mage node:boot -profile=locked-read-only
func (Node) Boot(ctx context.Context, profile, disk *string, control *bool) error {
	return cli.Exit("node:boot", cli.BootNode(ctx, cli.Value(profile), cli.Value(disk), cli.Value(control)))
}

// nodeBuild is Node.Build as a dependency: once in a command for each profile, all of them for an empty one.
func nodeBuild(ctx context.Context, profile string) error { return Node{}.Build(ctx, &profile) }

// nodeMeasure is Node.Measure as a dependency, likewise.
func nodeMeasure(ctx context.Context, profile string) error { return Node{}.Measure(ctx, &profile) }
