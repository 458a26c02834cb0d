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

// Version runs the guards: tag and version agree, counterpart and catalog fit, no ALLOWED_* anywhere (step 1).
func (Node) Version(ctx context.Context) error { return cli.Step(ctx, release.Node, "version") }

// Build builds the image of each profile with Packer and Ansible, side by side (step 2). [-profile=]
func (Node) Build(ctx context.Context, profile *string) error {
	return cli.ProfileStep(ctx, release.Node, "build", profile, Node.Version)
}

// Measure boots each image twice as a TDX VM, verifies the quotes and keeps the evidence (step 3). [-profile=]
func (Node) Measure(ctx context.Context, profile *string) error {
	return cli.ProfileStep(ctx, release.Node, "measure", profile, mg.F(nodeBuild, cli.Value(profile)))
}

// Mrtds writes published-mrtds.json from the evidence of all profiles (step 4).
func (Node) Mrtds(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "mrtds", mg.F(nodeMeasure, ""))
}

// SBOM writes sbom.spdx.json with syft from the image records' packages and programs.
func (Node) SBOM(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "sbom", mg.F(nodeBuild, ""))
}

// Provenance writes provenance.intoto.jsonl: what the images were made of, by which workflow, and what came out.
func (Node) Provenance(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "provenance", Node.Mrtds, Node.SBOM)
}

// Checksums writes checksums.sha256 over every asset.
func (Node) Checksums(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "checksums", Node.Provenance)
}

// Sign signs every asset and the checksums, keyless, as bundles (step 5).
func (Node) Sign(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "sign", Node.Checksums)
}

// Publish fills a draft, audits it, and makes it public as a pre-release (step 5).
func (Node) Publish(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "publish", Node.Sign)
}

// Audit reads the public release as a stranger and judges it (step 6).
func (Node) Audit(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "audit", Node.Publish)
}

// E2e boots nodes from the released images and lets them get their keys from the key service, or be refused (step 7).
func (Node) E2e(ctx context.Context) error { return cli.Step(ctx, release.Node, "e2e", Node.Audit) }

// Catalog proposes the tested entries of the compatibility catalog by a pull request (step 8).
func (Node) Catalog(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "catalog", Node.E2e)
}

// Promote makes a stable release the latest one.
func (Node) Promote(ctx context.Context) error {
	return cli.Step(ctx, release.Node, "promote", Node.Catalog)
}

// Boot boots a node image's disk for real, on an emulated machine, and judges what it measures, runs and opens, and
// what attacks on it do; exit 10 when a check fails. -control: the attacks must work on a disk that lets them in.
// [-profile=] [-disk=FILE] [-control]
func (Node) Boot(ctx context.Context, profile, disk *string, control *bool) error {
	return cli.Exit("node:boot", cli.BootNode(ctx, cli.Value(profile), cli.Value(disk), cli.Value(control)))
}

// nodeBuild is Node.Build as a dependency: once in a command for each profile, all of them for an empty one.
func nodeBuild(ctx context.Context, profile string) error { return Node{}.Build(ctx, &profile) }

// nodeMeasure is Node.Measure as a dependency, likewise.
func nodeMeasure(ctx context.Context, profile string) error { return Node{}.Measure(ctx, &profile) }
