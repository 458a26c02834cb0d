//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Node has the single steps of a node image release.
type Node mg.Namespace

// Version runs the guards: tag and version agree, counterpart and catalog fit, no ALLOWED_* anywhere (step 1).
func (Node) Version(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:version")
	defer d.Close()
	return d.Perform(ctx)
}

// Build builds the image of each profile with Packer and Ansible, side by side (step 2). [-profile=]
func (Node) Build(ctx context.Context, profile *string) error {
	ctx, d := cli.Open(ctx, "node:build", cli.Profile(profile))
	defer d.Close()
	mg.CtxDeps(ctx, Node.Version)
	return d.Perform(ctx)
}

// Measure boots each image twice as a TDX VM, verifies the quotes and keeps the evidence (step 3). [-profile=]
func (Node) Measure(ctx context.Context, profile *string) error {
	ctx, d := cli.Open(ctx, "node:measure", cli.Profile(profile))
	defer d.Close()
	mg.CtxDeps(ctx, nodeBuild)
	return d.Perform(ctx)
}

// Mrtds writes published-mrtds.json from the evidence of all profiles (step 4).
func (Node) Mrtds(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:mrtds")
	defer d.Close()
	mg.CtxDeps(ctx, nodeMeasure)
	return d.Perform(ctx)
}

// SBOM writes sbom.spdx.json with syft from the image records' packages and programs.
func (Node) SBOM(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:sbom")
	defer d.Close()
	mg.CtxDeps(ctx, nodeBuild)
	return d.Perform(ctx)
}

// Checksums writes checksums.sha256 over every asset.
func (Node) Checksums(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:checksums")
	defer d.Close()
	mg.CtxDeps(ctx, Node.Mrtds, Node.SBOM)
	return d.Perform(ctx)
}

// Sign signs every asset and the checksums, keyless, as bundles (step 5).
func (Node) Sign(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:sign")
	defer d.Close()
	mg.CtxDeps(ctx, Node.Checksums)
	return d.Perform(ctx)
}

// Publish fills a draft, audits it, and makes it public as a pre-release (step 5).
func (Node) Publish(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:publish")
	defer d.Close()
	mg.CtxDeps(ctx, Node.Sign)
	return d.Perform(ctx)
}

// Audit reads the public release as a stranger and judges it (step 6).
func (Node) Audit(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:audit")
	defer d.Close()
	mg.CtxDeps(ctx, Node.Publish)
	return d.Perform(ctx)
}

// E2e boots nodes from the released images and lets them get their keys from the key service, or be refused (step 7).
func (Node) E2e(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:e2e")
	defer d.Close()
	mg.CtxDeps(ctx, Node.Audit)
	return d.Perform(ctx)
}

// Catalog proposes the tested entries of the compatibility catalog by a pull request (step 8).
func (Node) Catalog(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:catalog")
	defer d.Close()
	mg.CtxDeps(ctx, Node.E2e)
	return d.Perform(ctx)
}

// Promote makes a stable release the latest one.
func (Node) Promote(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "node:promote")
	defer d.Close()
	mg.CtxDeps(ctx, Node.Catalog)
	return d.Perform(ctx)
}

// nodeBuild and nodeMeasure are the two targets as dependencies, which take no flags.
func nodeBuild(ctx context.Context) error { return Node{}.Build(ctx, nil) }

// nodeMeasure is Node.Measure as a dependency.
func nodeMeasure(ctx context.Context) error { return Node{}.Measure(ctx, nil) }
