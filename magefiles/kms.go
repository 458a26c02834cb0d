//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
	"github.com/calimero-network/mero-tee/internal/release"
)

// KMS has the single steps of a key service release.
type KMS mg.Namespace

// Version runs the guards: tag and version agree, counterpart and catalog fit, no ALLOWED_* anywhere (step 1).
func (KMS) Version(ctx context.Context) error { return cli.Step(ctx, release.KMS, "version") }

// Build builds docker/mero-kms for every profile and pushes the images by digest (step 2).
func (KMS) Build(ctx context.Context) error { return cli.Step(ctx, release.KMS, "build", KMS.Version) }

// Policy writes attestation-policy-{profile}.json from policies/ and the counterpart's measurements (step 3).
func (KMS) Policy(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "policy", KMS.Version)
}

// Measure writes published-mrtds.json, the canonical compose files and compose-hash.txt (step 4).
func (KMS) Measure(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "measure", KMS.Build, KMS.Policy)
}

// ComposeHash prints the compose hash of each profile, as compose-hash.txt has it; the canonical files lie beside it.
// [-file=FILE: of this compose file alone, without a release] [-env=FILE: the values of its variables] [-profile=:
// deployed as this one]
func (KMS) ComposeHash(ctx context.Context, file, env, profile *string) error {
	if named := (cli.ComposeFile{Path: cli.Value(file), Env: cli.Value(env), Profile: cli.Value(profile)}); named.Any() {
		return cli.Exit("kms:composeHash", cli.ComposeHash(ctx, os.Stdout, named))
	}
	return cli.PrintAsset(ctx, os.Stdout, release.KMS, "measure", release.ComposeHashAsset, KMS.Measure)
}

// SBOM writes sbom.spdx.json with syft and checks that it lists every Go module of the binaries (step 5).
func (KMS) SBOM(ctx context.Context) error { return cli.Step(ctx, release.KMS, "sbom", KMS.Build) }

// Provenance writes provenance.intoto.jsonl: what the release was made of, by which workflow, and what came out.
func (KMS) Provenance(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "provenance", KMS.Policy, KMS.Measure, KMS.SBOM)
}

// Checksums writes checksums.sha256 over every asset (step 6).
func (KMS) Checksums(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "checksums", KMS.Provenance)
}

// Sign signs every asset and the checksums, keyless, as bundles (step 7).
func (KMS) Sign(ctx context.Context) error { return cli.Step(ctx, release.KMS, "sign", KMS.Checksums) }

// Publish fills a draft, audits it, and makes it public as a pre-release (step 8).
func (KMS) Publish(ctx context.Context) error { return cli.Step(ctx, release.KMS, "publish", KMS.Sign) }

// Audit reads the public release as a stranger and judges it (step 9).
func (KMS) Audit(ctx context.Context) error { return cli.Step(ctx, release.KMS, "audit", KMS.Publish) }

// Catalog stages the entries of the compatibility catalog (step 10).
func (KMS) Catalog(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "catalog", KMS.Audit)
}

// E2e runs the released image and lets a node get its key from it, and be refused where it must (step 11).
func (KMS) E2e(ctx context.Context) error { return cli.Step(ctx, release.KMS, "e2e", KMS.Catalog) }

// Observe runs a released key service on another OS image of dstack, and proposes what its quote proves. IMAGE TAG
// [-dryRun]
func (KMS) Observe(ctx context.Context, image, tag string, dryRun *bool) error {
	return cli.Exit("kms:observe", cli.Observe(ctx, os.Stdout, image, tag, cli.Value(dryRun)))
}

// Propose proposes what E2E found: the tested catalog entries of a stable release, and evidence.
func (KMS) Propose(ctx context.Context) error { return cli.Step(ctx, release.KMS, "propose", KMS.E2e) }

// Promote makes a stable release the latest one, once its catalog entries are proposed.
func (KMS) Promote(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "promote", KMS.Propose)
}
