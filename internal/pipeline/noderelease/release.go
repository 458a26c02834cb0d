// Package noderelease is the release of the node images: the spec's
// release-node-image-gcp pipeline, readable from top to bottom in Graph.
//
// Its promise: every published register comes from verified quotes of at least
// two boots of the very image that is released, an image that exists is never
// overwritten, and no VM outlives the step that made it.
package noderelease

import (
	"context"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/pipeline/trial"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Release is one node release under way.
type Release struct{ *steps.Lane }

// Open prepares the release of a tag. Close it.
func Open(ctx context.Context, env *environment.Environment, tag release.Tag, c *console.Console) (*Release, error) {
	l, err := steps.Open(ctx, env, tag, c)
	if err != nil {
		return nil, err
	}
	return &Release{l}, nil
}

// Plan is the graph of any node release, to be looked at.
func Plan() pipeline.Graph {
	return (&Release{&steps.Lane{Tag: release.Tag{Family: release.Node}}}).Graph()
}

// Graph is the pipeline of the spec, step by step. Steps 2 and 3 are one step
// for each profile; what does not wait for each other here runs side by side.
func (r *Release) Graph() pipeline.Graph {
	return slices.Concat(pipeline.Graph{
		// 1. Version Sync: tag == MERO_TEE_VERSION, and with it guards 3 and 4, before anything is built.
		{Name: "node:version", Title: "running the guards", Inputs: r.GuardInputs, Outputs: r.GuardOutputs, Do: r.version},
	},
		// 2. Packer Build: per-profile GCP image.
		r.eachProfile("node:build", "building the image with Packer and Ansible", r.builder),
		// 3. Measure: boot TDX VM, collect MRTDs.
		r.eachProfile("node:measure", "booting TDX VMs and verifying their quotes", r.measurer),
		pipeline.Graph{
			// 4. Publish MRTDs: published-mrtds.json, and the SBOM.
			{Name: "node:mrtds", Title: "writing the measurements", Needs: perProfile("node:measure"),
				Outputs: r.AssetFiles(release.MeasurementsAsset), Do: r.mrtds},
			{Name: "node:sbom", Title: "listing what is in the images", Needs: perProfile("node:build"),
				Outputs: r.AssetFiles(release.SBOMAsset), Do: r.sbom},
			{Name: "node:checksums", Title: "writing the checksums", Needs: []string{"node:mrtds", "node:sbom"},
				Outputs: r.AssetFiles(release.ChecksumsAsset), Do: r.Checksums},
			// 5. Sign: Sigstore + release.
			{Name: "node:sign", Title: "signing every asset", Needs: []string{"node:checksums"},
				Outputs: r.AssetFiles(r.Bundles()...), Do: r.Sign},
			{Name: "node:publish", Title: "publishing a pre-release", Needs: []string{"node:sign"}, Publishes: true,
				Outputs: r.PublicAssets, Do: r.Publish},
			// 6. Release Auditor: verify completeness, as a stranger.
			{Name: "node:audit", Title: "auditing the public release", Needs: []string{"node:publish"},
				Outputs: r.WorkFiles(steps.AuditFile), Do: r.Audit},
			// 7. E2E Test: node boot, KMS attest.
			{Name: "node:e2e", Title: "testing the released images end to end", Needs: []string{"node:audit"},
				Outputs: r.WorkFiles(trial.File), Do: trial.Of(r.Lane).Do},
			// 8. Compat Catalog: update, by a pull request.
			{Name: "node:catalog", Title: "proposing the tested catalog entries", Needs: []string{"node:e2e"},
				Outputs: r.WorkFiles(steps.CatalogFile), Do: r.catalog},
			// Only then a stable release becomes the latest.
			{Name: "node:promote", Title: "promoting the release", Needs: []string{"node:catalog"}, Do: r.promote},
		})
}

// version runs the guards, and then says how the pinned base image compares
// with the newest of its family: drift is news, and no reason to stop.
func (r *Release) version(ctx context.Context, w *pipeline.Work) error {
	if err := r.RunGuards(ctx, w); err != nil {
		return err
	}
	drift, err := r.Env.Images.Drift(ctx)
	if err != nil {
		w.Warnf("the base image's family could not be asked: %v", err)
		return nil
	}
	w.Infof("%s", drift)
	return nil
}

// perProfile are the names of a per-profile step.
func perProfile(name string) []string {
	var out []string
	for _, p := range release.Profiles() {
		out = append(out, pipeline.Part(name, string(p)))
	}
	return out
}

// eachProfile is one step for each profile, which needs its own profile's step before.
func (r *Release) eachProfile(name, title string, of func(release.Profile) pipeline.Step) pipeline.Graph {
	var out pipeline.Graph
	for _, p := range release.Profiles() {
		step := of(p)
		step.Name, step.Title = pipeline.Part(name, string(p)), title
		out = append(out, step)
	}
	return out
}
