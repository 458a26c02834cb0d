package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/node"
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
		return data, err
	}
	w.console.Infof("rehearsal: releasing the simulated counterpart %s", tag)
	if _, err := w.sigstore(); err != nil { // makes the trusted root that verifiers want
		return nil, err
	}
	r, err := noderelease.Open(ctx, w.simulated(tag, c), tag, w.console.For("rehearsal"))
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // what was released is read back below
	run := &pipeline.Run{Graph: simulatedSteps(r), Ledger: r.Ledger, Console: r.Console.Quiet()}
	if err := run.All(ctx); err != nil {
		return nil, err
	}
	return published(ctx, client, tag)
}

// simulated is the environment in which images are made and booted in this process.
func (w *World) simulated(tag release.Tag, c *environment.Checkout) *environment.Environment {
	env := &environment.Environment{Settings: w.Env.Settings}
	env.Dist = filepath.Join(w.State, "seed")
	env.Images = node.Images{Version: tag.Version, Dir: filepath.Join(env.Dist, "programs")}
	env.Nodes = w.simulatedNodes
	env.Checkout = func(ctx context.Context, tag release.Tag) (*environment.Checkout, error) {
		return c, errors.Join(w.writeNotes(ctx, c, tag), w.pushTag(ctx, tag, c.Commit))
	}
	return env
}

// simulatedSteps are the steps that make a release and prove it: without the
// guards, which want a counterpart, and without what comes after the audit.
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
	return append(out, pipeline.Step{Name: "node:promote", Title: "promoting the release", Needs: []string{"node:audit"}, Do: r.Promote})
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
	env.Config, env.Nodes = &cfg, w.simulatedNodes
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

// simulatedNodes boots simulated images in this process.
func (w *World) simulatedNodes(string, string, journal.Journal) agent.Nodes {
	return node.Nodes{Platform: w.platform, HTTP: w.Env.Client(), TDXRoot: w.Env.TDXRoot}
}
