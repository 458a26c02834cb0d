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

// Version runs the guards (step 1).
// Tag and version agree, counterpart and catalog fit, no ALLOWED_* anywhere; it also decides the release's class.
//
// Needs: git, and MERO_KMS_VERSION, in a rehearsal 0.1.0. A rehearsal first releases a simulated counterpart.
// Leaves: plan.json and the guards' results in dist/TAG/work; what was judged of the variables is in the ledger.
// Example: go tool mage kms:version
func (KMS) Version(ctx context.Context) error { return cli.Step(ctx, release.KMS, "version") }

// Build builds the image of each profile and pushes it by digest (step 2).
// Without Docker: from docker/mero-kms/Dockerfile, byte for byte the same each time.
//
// Needs: kms:version, which it brings; in production GHCR_TOKEN.
// Leaves: images.json in dist/TAG/work, and the images in the registry, in a rehearsal the local one.
// Example: go tool mage kms:build
func (KMS) Build(ctx context.Context) error { return cli.Step(ctx, release.KMS, "build", KMS.Version) }

// Policy writes the attestation policy of each profile (step 3).
// It is a function of policies/ and of the counterpart's measurements, and of nothing else.
//
// Needs: kms:version, which it brings; MERO_TEE_VERSION names the counterpart.
// Leaves: attestation-policy-{profile}.json in dist/TAG/assets.
// See: docs/policies.md
// Example: go tool mage kms:policy
func (KMS) Policy(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "policy", KMS.Version)
}

// Measure computes what a key service will measure (step 4).
// Registers of the platform, the canonical compose file that names image and policy by digest, and its compose hash.
//
// Needs: kms:build and kms:policy, which it brings.
// Leaves: published-mrtds.json, app-compose-{profile}.json and compose-hash.txt in dist/TAG/assets.
// See: docs/measurements.md
// Example: go tool mage kms:measure
func (KMS) Measure(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "measure", KMS.Build, KMS.Policy)
}

// ComposeHash prints compose hashes: of the release, or of a file.
//
//	-file=FILE     this compose file alone, without a release, a network or a ledger
//	-env=FILE      lines NAME=VALUE: the values of the file's variables
//	-profile=P     the hash when the file is deployed as the key service of this profile
//
// Needs: kms:measure, which it brings; with -file nothing.
// Leaves: what kms:measure leaves; with -file nothing.
// See: docs/commands.md
// Example: go tool mage kms:composeHash -file=docker/mero-kms/docker-compose.yaml -env=values.env
func (KMS) ComposeHash(ctx context.Context, file, env, profile *string) error {
	if named := (cli.ComposeFile{Path: cli.Value(file), Env: cli.Value(env), Profile: cli.Value(profile)}); named.Any() {
		return cli.Exit("kms:composeHash", cli.ComposeHash(ctx, os.Stdout, named))
	}
	return cli.PrintAsset(ctx, os.Stdout, release.KMS, "measure", release.ComposeHashAsset, KMS.Measure)
}

// SBOM lists what is in the images (step 5).
// By syft, compiled from its pinned source; it must list every Go module of the binaries.
//
// Needs: kms:build, which it brings.
// Leaves: sbom.spdx.json in dist/TAG/assets.
// Example: go tool mage kms:sbom
func (KMS) SBOM(ctx context.Context) error { return cli.Step(ctx, release.KMS, "sbom", KMS.Build) }

// Provenance says what the release was made of, by whom, and what came out.
//
// Needs: kms:policy, kms:measure and kms:sbom, which it brings.
// Leaves: provenance.intoto.jsonl in dist/TAG/assets.
// See: docs/provenance.md
// Example: go tool mage kms:provenance
func (KMS) Provenance(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "provenance", KMS.Policy, KMS.Measure, KMS.SBOM)
}

// Checksums writes the SHA-256 of every asset (step 6).
//
// Needs: kms:provenance, which it brings.
// Leaves: checksums.sha256 in dist/TAG/assets.
// Example: go tool mage kms:checksums
func (KMS) Checksums(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "checksums", KMS.Provenance)
}

// Sign signs every asset and the checksums, without a key of ours (step 7).
// A bundle that verifies already is kept.
//
// Needs: kms:checksums, which it brings; in production the identity of a workflow (id-token: write).
// Leaves: ASSET.sigstore.json beside each asset in dist/TAG/assets, and an entry in the transparency log.
// Example: go tool mage kms:sign
func (KMS) Sign(ctx context.Context) error { return cli.Step(ctx, release.KMS, "sign", KMS.Checksums) }

// Publish fills a draft, audits it, and makes it a public pre-release (step 8).
//
// Needs: kms:sign, which it brings; in production GITHUB_TOKEN with contents: write.
// Leaves: a pre-release on GitHub, in a rehearsal in dist/rehearsal/github/releases/TAG. It never changes again.
// Example: go tool mage kms:publish
func (KMS) Publish(ctx context.Context) error { return cli.Step(ctx, release.KMS, "publish", KMS.Sign) }

// Audit reads the public release as a stranger and judges it (step 9).
//
// Needs: kms:publish, which it brings.
// Leaves: audit.json, checks-audit.json and moved.json in dist/TAG/work.
// Example: go tool mage kms:audit
func (KMS) Audit(ctx context.Context) error { return cli.Step(ctx, release.KMS, "audit", KMS.Publish) }

// Catalog stages the catalog's entries that E2E will decide on (step 10).
//
// Needs: kms:audit, which it brings.
// Leaves: the catalog as it would be in dist/TAG/work; nothing is proposed yet.
// See: docs/catalog.md
// Example: go tool mage kms:catalog
func (KMS) Catalog(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "catalog", KMS.Audit)
}

// E2e runs the released image and lets nodes get their keys (step 11).
// Both suites: a node gets its own key, and is refused where it must be. Exit code 10 when a stable release fails.
//
// Needs: kms:catalog, which it brings; in production GCP_*, PHALA_CLOUD_API_KEY and ITA_API_KEY.
// Leaves: e2e.json and evidence.json in dist/TAG/work, and nothing at the providers.
// See: docs/e2e.md
// Example: go tool mage kms:e2e
func (KMS) E2e(ctx context.Context) error { return cli.Step(ctx, release.KMS, "e2e", KMS.Catalog) }

// Propose opens a pull request with what E2E found.
// The tested catalog entries of a stable release, and the evidence, of a candidate too.
//
// Needs: kms:e2e, which it brings; in production GITHUB_TOKEN with contents and pull-requests: write.
// Leaves: a pull request on GitHub, from branch catalog/TAG; in a rehearsal on the local one.
// See: docs/catalog.md
// Example: go tool mage kms:propose
func (KMS) Propose(ctx context.Context) error { return cli.Step(ctx, release.KMS, "propose", KMS.E2e) }

// Promote makes a stable release the latest one.
// A candidate stays a pre-release, and so does a stable release without its E2E, its catalog entry or its approval.
//
// Needs: kms:propose, which it brings; in production the approval of the environment release-auditor.
// Leaves: the release as the latest on GitHub, and approval.json in dist/TAG/work when somebody approved it.
// Example: go tool mage kms:promote
func (KMS) Promote(ctx context.Context) error {
	return cli.Step(ctx, release.KMS, "promote", KMS.Propose)
}

// Observe runs a released key service on another OS image, and proposes it.
// What its verified quote proves becomes an entry of docker/mero-kms/dstack-platforms.json, in a pull request.
//
//	IMAGE      the OS image of dstack
//	TAG        the release that is deployed on it, and audited before
//	-dryRun    only show the entry
//
// Needs: the public release TAG; in production PHALA_CLOUD_API_KEY and GITHUB_TOKEN.
// Leaves: a pull request; the deployment is deleted again.
// See: docs/measurements.md
// Example: go tool mage kms:observe dstack-0.5.11 mero-kms-v1.2.0 -dryRun
func (KMS) Observe(ctx context.Context, image, tag string, dryRun *bool) error {
	return cli.Exit("kms:observe", cli.Observe(ctx, os.Stdout, image, tag, cli.Value(dryRun)))
}
