package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
)

// seedNode releases a simulated node image, through production's own steps,
// unless a node release of that tag is public, and returns its
// published-mrtds.json. Its registers come from verified quotes of simulated
// TDs whose agents measured the profile themselves.
func (w *World) seedNode(ctx context.Context, tag release.Tag, c *environment.Checkout) ([]byte, error) {
	client, err := w.Env.GitHub()
	if err != nil {
		return nil, err
	}
	if data, err := published(ctx, client, tag); err != nil || data != nil {
		return data, errors.Join(err, w.importSeeded(data))
	}
	w.console.Infof("rehearsal: releasing the simulated counterpart %s", tag)
	if _, err := w.sigstore(); err != nil { // makes the trusted root that verifiers want
		return nil, err
	}
	r, err := noderelease.Open(ctx, w.simulated(tag, c), tag, w.console.For("rehearsal"))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	run := &pipeline.Run{Graph: simulatedSteps(r), Ledger: r.Ledger, Console: r.Console.Quiet()}
	if err := run.All(ctx); err != nil {
		return nil, err
	}
	return published(ctx, client, tag)
}

// importSeeded makes sure that the simulated images of a public release can still be booted.
func (w *World) importSeeded(data []byte) error {
	if data == nil {
		return nil
	}
	released, err := measurement.Decode(data)
	if err != nil {
		return err
	}
	images := w.Simulated(released.Tag.Version, "")
	for profile := range released.Profiles {
		if inprocess.IsSimulated(released, profile) {
			err = errors.Join(err, images.Import(inprocess.Image{Version: released.Tag.Version, Profile: profile}))
		}
	}
	return err
}

// simulated is the environment in which images are made and booted in this process.
func (w *World) simulated(tag release.Tag, c *environment.Checkout) *environment.Environment {
	before := *c // the rehearsal's policies are made of this release's measurements, so it stands on the repository's
	before.Policies = filepath.Join(w.Env.Root, "policies")
	env := &environment.Environment{Settings: w.Env.Settings}
	env.Dist = filepath.Join(w.State, "seed")
	env.Images, env.Nodes = w.Simulated(tag.Version, filepath.Join(env.Dist, "programs")), w.bootNodes
	env.Checkout = func(ctx context.Context, tag release.Tag) (*environment.Checkout, error) {
		return &before, errors.Join(w.writeNotes(ctx, &before, tag), w.pushTag(ctx, tag, c.Commit))
	}
	return env
}

// simulatedSteps are the steps that make a release public and audit it: without
// the guards, which want a counterpart, and without E2E. So it stays a
// pre-release, as a first stable node release does that no stable key service
// was tested with.
func simulatedSteps(r *noderelease.Pipeline) pipeline.Graph {
	var out pipeline.Graph
	for _, s := range r.Graph() {
		switch s.Target() {
		case "node:e2e", "node:catalog", "node:promote":
			continue
		case "node:version":
			s.Do, s.Inputs, s.Outputs = r.Decide, nil, r.WorkFiles(steps.PlanFile)
		}
		out = append(out, s)
	}
	return out
}

// published are the measurements of a release that is public, nil otherwise.
func published(ctx context.Context, client *github.Client, tag release.Tag) ([]byte, error) {
	releases, err := client.Releases(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range releases {
		if r.TagName != tag.String() || r.Draft {
			continue
		}
		for _, a := range r.Assets {
			if a.Name == release.MeasurementsAsset {
				var b bytes.Buffer
				err := client.Download(ctx, a, &b)
				return b.Bytes(), err
			}
		}
	}
	return nil, nil
}

// seedKMS releases the key service that a node release is tested with, by the
// key service's own pipeline, unless it is public.
func (w *World) seedKMS(ctx context.Context, tag release.Tag) error {
	client, err := w.Env.GitHub()
	if err != nil {
		return err
	}
	if data, err := published(ctx, client, tag); err != nil || data != nil {
		return err
	}
	w.console.Infof("rehearsal: releasing the counterpart %s first", tag)
	env, cfg := &environment.Environment{Settings: w.Env.Settings}, *w.Env.Config
	cfg.KMSVersion, cfg.TEEVersion = Versions("", tag)
	env.Config, env.Nodes = &cfg, w.bootNodes
	env.Checkout = func(ctx context.Context, tag release.Tag) (*environment.Checkout, error) {
		return w.checkoutKMS(ctx, &cfg, tag)
	}
	r, err := kmsrelease.Open(ctx, env, tag, w.console.For("rehearsal"))
	if err != nil {
		return err
	}
	run := &pipeline.Run{Graph: r.Graph(), Ledger: r.Ledger, Console: r.Console.Quiet()}
	return errors.Join(run.All(ctx), r.Close())
}
