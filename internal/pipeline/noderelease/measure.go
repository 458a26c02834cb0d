package noderelease

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// boots is how often an image is booted before its registers are published.
const boots = 2

func (r *Release) measurer(p release.Profile) pipeline.Step {
	return pipeline.Step{Needs: []string{pipeline.Part("node:build", string(p))},
		Outputs: r.AssetFiles(release.EvidenceAsset(p)),
		Do:      func(ctx context.Context, w *pipeline.Work) error { return r.measure(ctx, w, p) }}
}

// measure boots the image, verifies what each boot says, and keeps the evidence.
func (r *Release) measure(ctx context.Context, w *pipeline.Work, p release.Profile) error {
	record, _, err := r.record(p)
	if err != nil {
		return err
	}
	if adopted, err := r.adoptEvidence(ctx, w, p, record); adopted || err != nil {
		return err
	}
	collateral := &evidence.Collateral{Source: tdx.NewCollateral(r.Env.Client())}
	v, err := tdx.NewVerifier(tdx.Config{Root: r.Env.TDXRoot, Collateral: collateral, Now: time.Now})
	if err != nil {
		return err
	}
	seen, err := r.bootAll(ctx, w, v, p, record)
	if err != nil {
		return err
	}
	if err := evidence.Agree(seen); err != nil {
		return err
	}
	w.Infof("%d boots agree; TCB status %s", len(seen), seen[0].Verdict.TCB)
	evidence := &evidence.Evidence{SchemaVersion: evidence.SchemaVersion, Profile: p, Image: record.Image.Name, Collateral: collateral.Digest()}
	for _, o := range seen {
		b, err := r.appraised(ctx, w, o)
		if err != nil {
			return err
		}
		evidence.Boots = append(evidence.Boots, b)
	}
	return r.writeEvidence(p, evidence)
}

// bootAll boots the image several times at once, each over a nonce of its own.
func (r *Release) bootAll(ctx context.Context, w *pipeline.Work, v *tdx.Verifier, p release.Profile, record *image.Record) ([]*evidence.Observation, error) {
	nodes := r.Env.Nodes("measure", r.Tag.String()+"-measure-"+string(p), w.Journal)
	image := &measurement.Published{Family: release.Node, Tag: r.Tag, Profiles: map[release.Profile]measurement.Profile{
		p: {Image: measurement.Image{Name: record.Image.Name}}}} // what is known before anything is measured
	out := make([]*evidence.Observation, boots)
	g, ctx := errgroup.WithContext(ctx)
	for i := range out {
		g.Go(func() error {
			mission := agent.Mission{Nonce: agent.NewNonce()}
			report, err := nodes.Boot(ctx, image, p, mission)
			if err != nil {
				return err
			}
			out[i], err = evidence.Observe(ctx, v, p, mission.Nonce, report)
			return err
		})
	}
	return out, g.Wait()
}

// appraised asks Intel Trust Authority about the same quote. Without a key for
// it a candidate says so; a stable release does not pass.
func (r *Release) appraised(ctx context.Context, w *pipeline.Work, o *evidence.Observation) (evidence.Boot, error) {
	if r.Env.ITA.Key == "" {
		return r.unappraised(w, o)
	}
	authority, err := ita.New(r.Env.ITA)
	if err != nil {
		return evidence.Boot{}, err
	}
	a, err := authority.Appraise(ctx, o.Report.Quote, o.Verdict)
	if err != nil {
		return evidence.Boot{}, err
	}
	w.Infof("Intel Trust Authority agrees: %s", a.ID)
	return o.Record(time.Now(), &evidence.Appraisal{ID: a.ID, Token: a.Token})
}

// writeEvidence stages the evidence.
func (r *Release) writeEvidence(p release.Profile, e *evidence.Evidence) error {
	data, err := e.Encode()
	if err != nil {
		return err
	}
	return r.WriteAsset(release.EvidenceAsset(p), data)
}

// mrtds writes published-mrtds.json from the evidence, which it verifies once more.
func (r *Release) mrtds(ctx context.Context, _ *pipeline.Work) error {
	v, err := r.Env.Verifier()
	if err != nil {
		return err
	}
	out := &measurement.Published{SchemaVersion: measurement.SchemaVersion, Family: release.Node, Tag: r.Tag, Commit: r.Checkout.Commit,
		Profiles: map[release.Profile]measurement.Profile{}}
	for _, p := range release.Profiles() {
		if out.Profiles[p], err = r.published(ctx, v, p); err != nil {
			return err
		}
	}
	data, err := out.Encode()
	if err != nil {
		return err
	}
	return r.WriteAsset(release.MeasurementsAsset, data)
}
