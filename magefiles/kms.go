//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Version runs the guards: tag and version agree, counterpart and catalog fit, no ALLOWED_* anywhere (step 1).
func (KMS) Version(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:version")
	defer d.Close()
	return d.Perform(ctx)
}

// Build builds docker/mero-kms for every profile and pushes the images by digest (step 2).
func (KMS) Build(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:build")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Version)
	return d.Perform(ctx)
}

// Policy writes attestation-policy-{profile}.json from policies/ and the counterpart's measurements (step 3).
func (KMS) Policy(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:policy")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Version)
	return d.Perform(ctx)
}

// Measure writes published-mrtds.json, the canonical compose files and compose-hash.txt (step 4).
func (KMS) Measure(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:measure")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Build, KMS.Policy)
	return d.Perform(ctx)
}

// SBOM writes sbom.spdx.json with syft and checks that it lists every Go module of the binaries (step 5).
func (KMS) SBOM(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:sbom")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Build)
	return d.Perform(ctx)
}

// Checksums writes checksums.sha256 over every asset (step 6).
func (KMS) Checksums(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:checksums")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Policy, KMS.Measure, KMS.SBOM)
	return d.Perform(ctx)
}

// Sign signs every asset and the checksums, keyless, as bundles (step 7).
func (KMS) Sign(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:sign")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Checksums)
	return d.Perform(ctx)
}

// Publish fills a draft, audits it, and makes it public as a pre-release (step 8).
func (KMS) Publish(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:publish")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Sign)
	return d.Perform(ctx)
}

// Audit reads the public release as a stranger and judges it (step 9).
func (KMS) Audit(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:audit")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Publish)
	return d.Perform(ctx)
}

// Catalog stages the entries of the compatibility catalog (step 10).
func (KMS) Catalog(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:catalog")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Audit)
	return d.Perform(ctx)
}

// E2e runs the released image and lets a node get its key from it, and be refused where it must (step 11).
func (KMS) E2e(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:e2e")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Catalog)
	return d.Perform(ctx)
}

// Promote proposes the tested catalog entries and makes a stable release the latest one.
func (KMS) Promote(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:promote")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.E2e)
	return d.Perform(ctx)
}
