// Package noderelease is the release of the node images: the spec's
// release-node-image-gcp pipeline, readable from top to bottom in Graph.
//
// Its promise: every published register comes from verified quotes of two boots
// and a reboot of the very image that is released, which measured what its record
// predicts, an image that exists is never overwritten, and no VM outlives the
// step that made it.
package noderelease

import (
	"context"
	"maps"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Pipeline is one node release under way.
type Pipeline struct{ *steps.Release }

// Open prepares the release of a tag. Close it.
func Open(ctx context.Context, env *environment.Environment, tag release.Tag, c *console.Console) (*Pipeline, error) {
	l, err := steps.Open(ctx, env, tag, c)
	if err != nil {
		return nil, err
	}
	return &Pipeline{l}, nil
}

// Plan is the graph of any node release, to be looked at.
func Plan() pipeline.Graph {
	return (&Pipeline{&steps.Release{Tag: release.Tag{Family: release.Node}}}).Graph()
}

// Graph is the pipeline of the spec, step by step. Steps 2 and 3 are one step
// for each profile; what does not wait for each other here runs side by side.
func (p *Pipeline) Graph() pipeline.Graph {
	return slices.Concat(pipeline.Graph{
		// 1. Version Sync: tag == MERO_TEE_VERSION, and with it guards 3 and 4, before anything is built.
		{Name: "node:version", Title: "running the guards", Inputs: p.GuardInputs, Outputs: p.GuardOutputs, Do: p.RunGuards},
	},
		// 2. Packer Build: per-profile GCP image.
		p.eachProfile("node:build", "building the image with Packer and Ansible", p.builder),
		// 3. Measure: boot TDX VM, collect MRTDs.
		p.eachProfile("node:measure", "booting TDX VMs and verifying their quotes", p.measurer),
		pipeline.Graph{
			// 4. Publish MRTDs: published-mrtds.json, and the SBOM.
			{Name: "node:mrtds", Title: "writing the measurements", Needs: perProfile("node:measure"),
				Outputs: p.AssetFiles(release.MeasurementsAsset), Do: p.mrtds},
			{Name: "node:sbom", Title: "listing what is in the images", Needs: perProfile("node:build"),
				Outputs: p.AssetFiles(release.SBOMAsset), Do: p.sbom},
			// What the release was made of, and what came out.
			{Name: "node:provenance", Title: "writing the provenance", Needs: []string{"node:mrtds", "node:sbom"},
				Outputs: p.AssetFiles(release.ProvenanceAsset), Do: p.provenance},
			{Name: "node:checksums", Title: "writing the checksums", Needs: []string{"node:provenance"},
				Outputs: p.AssetFiles(release.ChecksumsAsset), Do: p.Checksums},
			// 5. Sign: Sigstore + release.
			{Name: "node:sign", Title: "signing every asset", Needs: []string{"node:checksums"},
				Outputs: p.AssetFiles(p.Bundles()...), Do: p.Sign},
			{Name: "node:publish", Title: "publishing a pre-release", Needs: []string{"node:sign"}, Publishes: true,
				Outputs: p.PublicAssets, Do: p.Publish},
			// 6. Release Auditor: verify completeness, as a stranger.
			{Name: "node:audit", Title: "auditing the public release", Needs: []string{"node:publish"},
				Outputs: p.WorkFiles(steps.AuditFile, steps.MovedFile), Do: p.Audit},
			// 7. E2E Test: node boot, KMS attest.
			{Name: "node:e2e", Title: "testing the released images end to end", Needs: []string{"node:audit"},
				Outputs: p.WorkFiles(steps.E2EFile, steps.EvidenceFile), Do: p.E2E},
			// 8. Compat Catalog: update, by a pull request.
			{Name: "node:catalog", Title: "proposing what the test found", Needs: []string{"node:e2e"},
				Outputs: p.catalogOutputs, Do: p.catalog},
			// Only then a stable release becomes the latest.
			{Name: "node:promote", Title: "promoting the release", Needs: []string{"node:catalog"}, Do: p.Promote},
		})
}

// perProfile are the names of a per-profile step.
func perProfile(name string) []string {
	var out []string
	for _, profile := range release.Profiles() {
		out = append(out, pipeline.Part(name, string(profile)))
	}
	return out
}

// eachProfile is one step for each profile, which needs its own profile's step before.
func (p *Pipeline) eachProfile(name, title string, of func(release.Profile) pipeline.Step) pipeline.Graph {
	var out pipeline.Graph
	for _, profile := range release.Profiles() {
		step := of(profile)
		step.Name, step.Title = pipeline.Part(name, string(profile)), title
		out = append(out, step)
	}
	return out
}

// catalog proposes what E2E found.
func (p *Pipeline) catalog(ctx context.Context, w *pipeline.Work) error {
	tested, err := p.TestedCatalog()
	if err != nil {
		return err
	}
	if tested == nil {
		if tested, err = p.Staged(); err != nil {
			return err
		}
	}
	if err := p.WriteCatalog(tested); err != nil {
		return err
	}
	return p.ProposeCatalog(ctx, w)
}

// catalogOutputs are the catalog in work/ and what is on GitHub.
func (p *Pipeline) catalogOutputs(ctx context.Context) (pipeline.Digests, error) {
	out, err := p.WorkFiles(steps.CatalogFile)(ctx)
	if err != nil {
		return nil, err
	}
	proposed, err := p.ProposalState(ctx)
	maps.Copy(out, proposed)
	return out, err
}
