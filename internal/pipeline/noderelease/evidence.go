package noderelease

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// record reads the staged record of a profile's image, and its digest.
func (p *Pipeline) record(profile release.Profile) (*image.Record, digest.Digest, error) {
	data, err := os.ReadFile(filepath.Join(p.Assets(), release.RecordAsset(profile)))
	if err != nil {
		return nil, digest.Digest{}, err
	}
	record, err := image.Decode(data)
	return record, digest.Of(data), err
}

// adoptEvidence takes the evidence that this tag's release already holds, when
// it is of this image: "published bytes win", and they are verified again.
func (p *Pipeline) adoptEvidence(ctx context.Context, w *pipeline.Work, profile release.Profile, record *image.Record) (bool, error) {
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
	return o.Record(time.Now(), nil)
}

// published is what the staged evidence of a profile proves of its image.
func (p *Pipeline) published(ctx context.Context, v *tdx.Verifier, profile release.Profile) (measurement.Profile, error) {
	data, err := os.ReadFile(filepath.Join(p.Assets(), release.EvidenceAsset(profile)))
	if err != nil {
		return measurement.Profile{}, err
	}
	evidence, err := evidence.DecodeEvidence(data)
	if err != nil {
		return measurement.Profile{}, err
	}
	seen, err := evidence.Observe(ctx, v)
	if err != nil {
		return measurement.Profile{}, fmt.Errorf("profile %s: %w", profile, err)
	}
	_, digest, err := p.record(profile)
	if err != nil {
		return measurement.Profile{}, err
	}
	return evidence.Published(seen, measurement.Image{Name: evidence.Image, Digest: digest}), nil
}
