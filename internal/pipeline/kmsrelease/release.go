// Package kmsrelease is the release of the key service: the spec's
// release-kms-phala pipeline, readable from top to bottom in Graph.
//
// Its promise: what is released is what was built from the tag's commit, what
// was audited is what was released, and nothing becomes the latest release
// before a node got its key from it.
package kmsrelease

import (
	"context"
	"sync"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Pipeline is one KMS release under way.
type Pipeline struct {
	*steps.Release
	sources func() (string, error) // digest of what the image is built from, computed once
}

// Open prepares the release of a tag. Close it.
func Open(ctx context.Context, env *environment.Environment, tag release.Tag, c *console.Console) (*Pipeline, error) {
	l, err := steps.Open(ctx, env, tag, c)
	if err != nil {
		return nil, err
	}
	return &Pipeline{Release: l, sources: sync.OnceValues(func() (string, error) { return sourceDigest(env.Root) })}, nil
}

// Plan is the graph of any KMS release, to be looked at.
func Plan() pipeline.Graph {
	return (&Pipeline{Release: &steps.Release{Tag: release.Tag{Family: release.KMS}}}).Graph()
}

// Graph is the pipeline of the spec, step by step. What does not wait for each
// other here runs side by side.
func (p *Pipeline) Graph() pipeline.Graph {
	return pipeline.Graph{
		// 1. Version Sync: tag == MERO_KMS_VERSION, and with it guards 3 and 4, before anything is built.
		{Name: "kms:version", Title: "running the guards", Inputs: p.GuardInputs, Outputs: p.GuardOutputs, Do: p.RunGuards},
		// 2. Build Docker: build + push to the registry.
		{Name: "kms:build", Title: "building and pushing the images", Needs: []string{"kms:version"},
			Inputs: p.buildInputs, Outputs: p.WorkFiles(imagesFile), Do: p.build},
		// 3. Gen Policy: per-profile attestation JSON.
		{Name: "kms:policy", Title: "generating the attestation policies", Needs: []string{"kms:version"},
			Outputs: p.AssetFiles(policyAssets()...), Do: p.generatePolicies},
		// 4. Compute Measurements: published-mrtds.json and the compose hashes.
		{Name: "kms:measure", Title: "computing measurements and compose hashes", Needs: []string{"kms:build", "kms:policy"},
			Inputs: p.measureInputs, Outputs: p.AssetFiles(measureAssets()...), Do: p.measure},
		// 5. Generate SBOM.
		{Name: "kms:sbom", Title: "listing what is in the images", Needs: []string{"kms:build"},
			Outputs: p.AssetFiles(release.SBOMAsset), Do: p.sbom},
		// What the release was made of, and what came out.
		{Name: "kms:provenance", Title: "writing the provenance", Needs: []string{"kms:policy", "kms:measure", "kms:sbom"},
			Outputs: p.AssetFiles(release.ProvenanceAsset), Do: p.provenance},
		// 6. Checksums: SHA-256 of all assets.
		{Name: "kms:checksums", Title: "writing the checksums", Needs: []string{"kms:provenance"},
			Outputs: p.AssetFiles(release.ChecksumsAsset), Do: p.Checksums},
		// 7. Sigstore Sign, keyless.
		{Name: "kms:sign", Title: "signing every asset", Needs: []string{"kms:checksums"},
			Outputs: p.AssetFiles(p.Bundles()...), Do: p.Sign},
		// 8. Publish Release: draft, audit of the draft, public pre-release.
		{Name: "kms:publish", Title: "publishing a pre-release", Needs: []string{"kms:sign"}, Publishes: true,
			Outputs: p.PublicAssets, Do: p.Publish},
		// 9. Release Auditor: verify all assets present and signed, as a stranger.
		{Name: "kms:audit", Title: "auditing the public release", Needs: []string{"kms:publish"},
			Outputs: p.WorkFiles(steps.AuditFile, steps.MovedFile), Do: p.audit},
		// 10. Compat Catalog: stage the entries.
		{Name: "kms:catalog", Title: "staging the catalog entries", Needs: []string{"kms:audit"},
			Outputs: p.WorkFiles(steps.CatalogFile), Do: p.stageCatalog},
		// 11. E2E Test: KMS-node attestation.
		{Name: "kms:e2e", Title: "testing the released image end to end", Needs: []string{"kms:catalog"},
			Outputs: p.WorkFiles(steps.E2EFile, steps.EvidenceFile), Do: p.E2E},
		// Only then: what E2E found is proposed, a candidate's evidence too.
		{Name: "kms:propose", Title: "proposing what the test found", Needs: []string{"kms:e2e"},
			Outputs: p.ProposalState, Do: p.ProposeCatalog},
		// And a stable release becomes the latest.
		{Name: "kms:promote", Title: "promoting the release", Needs: []string{"kms:propose"}, Do: p.Promote},
	}
}

// stageCatalog declares the pair in a copy of the catalog; E2E decides whether it is tested.
func (p *Pipeline) stageCatalog(_ context.Context, w *pipeline.Work) error {
	staged, err := p.Staged()
	if err != nil {
		return err
	}
	w.Infof("staged %d catalog entries in %s", len(staged.Entries), console.Path(p.Work(steps.CatalogFile)))
	return p.WriteCatalog(staged)
}
