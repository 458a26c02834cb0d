package noderelease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

func (p *Pipeline) measurer(profile release.Profile) pipeline.Step {
	return pipeline.Step{Needs: []string{pipeline.Part("node:build", string(profile))},
		Outputs: p.AssetFiles(release.EvidenceAsset(profile)),
		Do:      func(ctx context.Context, w *pipeline.Work) error { return p.measure(ctx, w, profile) }}
}

// measure boots the image, verifies what each boot says, and keeps the evidence.
func (p *Pipeline) measure(ctx context.Context, w *pipeline.Work, profile release.Profile) error {
	record, _, err := p.record(profile)
	if err != nil {
		return err
	}
	if adopted, err := p.adoptEvidence(ctx, w, profile, record); adopted || err != nil {
		return err
	}
	collateral := &tdx.Keeper{Source: p.Env.Collateral()}
	v, err := p.Env.VerifierOf(collateral)
	if err != nil {
		return err
	}
	seen, err := p.bootAll(ctx, w, v, profile, record)
	if err != nil {
		return err
	}
	if err := proven(seen, record); err != nil {
		return err
	}
	w.Infof("RTMR0 measures %s", strings.Join(seen[0].Platform(), "; "))
	w.Infof("two boots and a reboot agree, and are what the image's record predicts; TCB status %s", seen[0].Verdict.TCB)
	boots, err := p.evidenceOf(ctx, w, seen, collateral.Stored())
	if err != nil {
		return err
	}
	boots.Profile, boots.Image = profile, record.Image.Name
	if boots.Endorsement, err = p.endorsement(ctx, w, boots, seen); err != nil {
		return err
	}
	return p.EncodeAsset(release.EvidenceAsset(profile), boots)
}

// evidenceOf is what was seen, each boot appraised, with the collateral that all verdicts rest on.
func (p *Pipeline) evidenceOf(ctx context.Context, w *pipeline.Work, seen []*evidence.Observation,
	kept tdx.Stored) (*evidence.Evidence, error) {
	collateral, err := evidence.Keep(kept)
	if err != nil {
		return nil, err
	}
	out := &evidence.Evidence{SchemaVersion: evidence.SchemaVersion, Collateral: collateral}
	for _, o := range seen {
		b, err := p.appraised(ctx, w, o)
		if err != nil {
			return nil, err
		}
		out.Boots = append(out.Boots, b)
	}
	return out, nil
}

// endorsement asks Google what it has signed of the firmware that booted. That
// it has nothing is a fact, and recorded; a candidate is made without an answer.
func (p *Pipeline) endorsement(ctx context.Context, w *pipeline.Work, boots *evidence.Evidence,
	seen []*evidence.Observation) (*evidence.Endorsement, error) {
	out := &evidence.Endorsement{Asked: time.Now().UTC().Truncate(time.Second)}
	message, err := p.Env.Endorsements().Fetch(ctx, seen[0].Verdict.Registers.MRTD)
	switch {
	case errors.Is(err, endorsement.ErrNone):
		w.Warnf("the firmware is not endorsed: %v", err)
		return out, nil
	case err != nil && fault.CodeOf(err) == fault.General && !p.Tag.Stable() && ctx.Err() == nil:
		w.Warnf("endorsement of the firmware skipped: %v", err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	out.Message = message
	judged := evidence.Evidence{Boots: boots.Boots, Endorsement: out}
	signed, err := judged.Endorsed(p.Env.GoogleRoot, seen)
	if err != nil {
		return nil, err
	}
	w.Infof("MRTD is %s", judged.Bases(signed)[0])
	return out, nil
}

// proven: all boots measured the same, and that is what the image's record predicts.
func proven(seen []*evidence.Observation, record *image.Record) error {
	if err := evidence.Agree(seen); err != nil {
		return err
	}
	for _, o := range seen {
		if err := o.BootOf(record); err != nil {
			return err
		}
	}
	return nil
}

// bootAll boots the image on two machines at once and then one of them again,
// each over a nonce of its own. A reboot finds what the first boot left: in the
// variable store, and on a disk that is not as read-only as it should be.
func (p *Pipeline) bootAll(ctx context.Context, w *pipeline.Work, v *tdx.Verifier, profile release.Profile,
	record *image.Record) ([]*evidence.Observation, error) {
	nodes := p.Env.Nodes("measure", p.Tag.String()+"-measure-"+string(profile), w.Journal)
	image := &measurement.Published{Family: release.Node, Tag: p.Tag, Profiles: map[release.Profile]measurement.Profile{
		profile: {Image: measurement.Image{Name: record.Image.Name}}}} // what is known before anything is measured
	missions := [3]agent.Mission{{Nonce: agent.NewNonce()}, {Nonce: agent.NewNonce()}, {Nonce: agent.NewNonce()}}
	var reports [3]*agent.Report
	g, booting := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		reports[0], err = nodes.Boot(booting, image, profile, missions[0])
		return err
	})
	g.Go(func() error {
		both, err := nodes.Reboot(booting, image, profile, missions[1], missions[2])
		reports[1], reports[2] = both[0], both[1]
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make([]*evidence.Observation, len(reports))
	for i, report := range reports {
		var err error
		if out[i], err = evidence.Observe(ctx, v, profile, missions[i].Nonce, report); err != nil {
			return nil, err
		}
	}
	out[2].Reboot = true
	return out, nil
}

// appraised asks Intel Trust Authority about the same quote. Without a key for
// it, and when it judged by collateral that we cannot have, a candidate says so; a
// stable release does not pass.
func (p *Pipeline) appraised(ctx context.Context, w *pipeline.Work, o *evidence.Observation) (evidence.Boot, error) {
	authority, err := p.Env.Appraiser()
	if err != nil {
		return evidence.Boot{}, err
	}
	if authority == nil {
		return p.unappraised(w, o)
	}
	a, err := authority.Appraise(ctx, o.Report.Quote, o.Verdict)
	if errors.Is(err, ita.ErrIncomparable) && !p.Tag.Stable() {
		w.Warnf("%v", err)
		return o.Record(nil)
	}
	if err != nil {
		return evidence.Boot{}, err
	}
	w.Infof("Intel Trust Authority agrees: %s", a.ID)
	return o.Record(&evidence.Appraisal{ID: a.ID, Token: a.Token})
}

// mrtds writes published-mrtds.json from the evidence, which it verifies once more.
func (p *Pipeline) mrtds(ctx context.Context, _ *pipeline.Work) error {
	out := &measurement.Published{SchemaVersion: measurement.SchemaVersion, Family: release.Node, Tag: p.Tag,
		Commit:   p.Checkout.Commit,
		Profiles: map[release.Profile]measurement.Profile{}}
	for _, profile := range release.Profiles() {
		published, err := p.published(ctx, profile)
		if err != nil {
			return err
		}
		out.Profiles[profile] = published
	}
	return p.EncodeAsset(release.MeasurementsAsset, out)
}

// record reads the staged record of a profile's image, and its digest.
func (p *Pipeline) record(profile release.Profile) (*image.Record, digest.Digest, error) {
	data, err := p.ReadAsset(release.RecordAsset(profile))
	if err != nil {
		return nil, digest.Digest{}, err
	}
	record, err := image.Decode(data)
	return record, digest.Of(data), err
}

// adoptEvidence takes the evidence that this tag's release already holds, when
// it is of this image: "published bytes win", and they are verified again.
func (p *Pipeline) adoptEvidence(ctx context.Context, w *pipeline.Work, profile release.Profile,
	record *image.Record) (bool, error) {
	data, err := p.Uploaded(ctx, release.EvidenceAsset(profile))
	if data == nil || err != nil {
		return false, err
	}
	e, err := evidence.DecodeEvidence(data)
	if err != nil || e.Image != record.Image.Name {
		return false, err
	}
	w.Infof("%s was measured before; its evidence is public", record.Image.Name)
	return true, p.WriteAsset(release.EvidenceAsset(profile), data)
}

// unappraised: "skipped only in an RC, with the reason".
func (p *Pipeline) unappraised(w *pipeline.Work, o *evidence.Observation) (evidence.Boot, error) {
	const reason = "nobody to ask: ITA_API_KEY is not set"
	if p.Tag.Stable() {
		return evidence.Boot{}, &fault.Error{Code: fault.Verification, Message: "no appraisal by Intel Trust Authority",
			Expected: "a token for each quote", Got: reason, Hint: "set the secret ITA_API_KEY"}
	}
	w.Warnf("appraisal by Intel Trust Authority skipped: %s", reason)
	return o.Record(nil)
}

// published is what the staged evidence of a profile proves of its image.
func (p *Pipeline) published(ctx context.Context, profile release.Profile) (measurement.Profile, error) {
	data, err := p.ReadAsset(release.EvidenceAsset(profile))
	if err != nil {
		return measurement.Profile{}, err
	}
	evidence, err := evidence.DecodeEvidence(data)
	if err != nil {
		return measurement.Profile{}, err
	}
	record, digest, err := p.record(profile)
	if err != nil {
		return measurement.Profile{}, err
	}
	seen, err := evidence.Observe(ctx, p.Env.TDXRoot)
	if err == nil {
		err = proven(seen, record)
	}
	if err == nil {
		_, err = evidence.Endorsed(p.Env.GoogleRoot, seen)
	}
	if err != nil {
		return measurement.Profile{}, fmt.Errorf("profile %s: %w", profile, err)
	}
	return evidence.Published(seen, measurement.Image{Name: evidence.Image, Digest: digest}), nil
}
