// Package kmsrelease is the release of the key service: the spec's
// release-kms-phala pipeline, readable from top to bottom in Graph.
//
// Its promise: what is released is what was built from the tag's commit, what
// was audited is what was released, and nothing becomes the latest release
// before a node got its key from it.
package kmsrelease

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/console"
	"github.com/calimero-network/mero-tee/internal/environment"
	"github.com/calimero-network/mero-tee/internal/github"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Release is one KMS release under way.
type Release struct {
	Tag      release.Tag
	Env      *environment.Environment
	Checkout *environment.Checkout
	Ledger   *pipeline.Ledger

	console *console.Console
	github  *github.Client
	sources func() (string, error) // digest of what the image is built from, computed once
}

// Open prepares the release of a tag: the repository's state, GitHub, and the
// ledger, which is locked until Close.
func Open(ctx context.Context, env *environment.Environment, tag release.Tag, c *console.Console) (*Release, error) {
	checkout, err := env.Checkout(ctx, tag)
	if err != nil {
		return nil, err
	}
	client, err := github.New(github.Options{Repository: env.Config.Repository, Token: env.GitHubToken.Reveal(), Transport: env.Transport})
	if err != nil {
		return nil, err
	}
	r := &Release{Tag: tag, Env: env, Checkout: checkout, console: c, github: client}
	r.sources = sync.OnceValues(func() (string, error) { return sourceDigest(env.Root) })
	if err := errors.Join(os.MkdirAll(r.assets(), 0o755), os.MkdirAll(r.work(), 0o755)); err != nil {
		return nil, err
	}
	if r.Ledger, err = pipeline.OpenLedger(Dir(env.Dist, tag), tag.String(), checkout.Commit, time.Now); err != nil {
		return nil, err
	}
	return r, nil
}

// Close releases the ledger.
func (r *Release) Close() error { return r.Ledger.Close() }

// Dir is where a release is staged and its ledger lies.
func Dir(dist string, tag release.Tag) string { return filepath.Join(dist, tag.String()) }

// assets is the folder of what will be uploaded, under its final names.
func (r *Release) assets() string { return filepath.Join(Dir(r.Env.Dist, r.Tag), "assets") }

// work is the folder of everything else.
func (r *Release) work(elem ...string) string {
	return filepath.Join(append([]string{Dir(r.Env.Dist, r.Tag), "work"}, elem...)...)
}

// Graph is the pipeline of the spec, step by step. What does not wait for each
// other here runs side by side.
func (r *Release) Graph() pipeline.Graph {
	return pipeline.Graph{
		// 1. Version Sync: tag == MERO_KMS_VERSION, and with it guards 3 and 4, before anything is built.
		{Name: "kms:version", Title: "running the guards", Inputs: r.guardInputs, Outputs: r.guardOutputs, Do: r.runGuards},
		// 2. Build Docker: build + push to the registry.
		{Name: "kms:build", Title: "building and pushing the images", Needs: []string{"kms:version"},
			Inputs: r.buildInputs, Outputs: r.workFiles(imagesFile), Do: r.build},
		// 3. Gen Policy: per-profile attestation JSON.
		{Name: "kms:policy", Title: "generating the attestation policies", Needs: []string{"kms:version"},
			Outputs: r.assetFiles(policyAssets()...), Do: r.generatePolicies},
		// 4. Compute Measurements: published-mrtds.json and the compose hashes.
		{Name: "kms:measure", Title: "computing measurements and compose hashes", Needs: []string{"kms:build", "kms:policy"},
			Inputs: r.measureInputs, Outputs: r.assetFiles(measureAssets()...), Do: r.measure},
		// 5. Generate SBOM.
		{Name: "kms:sbom", Title: "listing what is in the image", Needs: []string{"kms:build"},
			Outputs: r.assetFiles(release.SBOMAsset), Do: r.sbom},
		// 6. Checksums: SHA-256 of all assets.
		{Name: "kms:checksums", Title: "writing the checksums", Needs: []string{"kms:policy", "kms:measure", "kms:sbom"},
			Outputs: r.assetFiles(release.ChecksumsAsset), Do: r.checksums},
		// 7. Sigstore Sign, keyless.
		{Name: "kms:sign", Title: "signing every asset", Needs: []string{"kms:checksums"},
			Outputs: r.assetFiles(bundles()...), Do: r.sign},
		// 8. Publish Release: draft, audit of the draft, public pre-release.
		{Name: "kms:publish", Title: "publishing a pre-release", Needs: []string{"kms:sign"}, Publishes: true,
			Outputs: r.publicAssets, Do: r.publish},
		// 9. Release Auditor: verify all assets present and signed, as a stranger.
		{Name: "kms:audit", Title: "auditing the public release", Needs: []string{"kms:publish"},
			Outputs: r.workFiles(auditFile), Do: r.audit},
		// 10. Compat Catalog: stage the entries.
		{Name: "kms:catalog", Title: "staging the catalog entries", Needs: []string{"kms:audit"},
			Outputs: r.workFiles(catalogFile), Do: r.stageCatalog},
		// 11. E2E Test: KMS-node attestation.
		{Name: "kms:e2e", Title: "testing the released image end to end", Needs: []string{"kms:catalog"},
			Outputs: r.workFiles(e2eFile), Do: r.e2e},
		// Only then: tested catalog entries are proposed, and a stable release becomes the latest.
		{Name: "kms:promote", Title: "promoting the release", Needs: []string{"kms:e2e"}, Do: r.promote},
	}
}
