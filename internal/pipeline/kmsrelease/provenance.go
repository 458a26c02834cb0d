package kmsrelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/artifact/provenance"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// provenance says what the images and assets were made of: besides the commit the
// counterpart's measurements, of which the policies are a function.
func (p *Pipeline) provenance(context.Context, *pipeline.Work) error {
	evidence, err := p.counterpartEvidence()
	if err != nil {
		return err
	}
	var went []provenance.Resource
	if evidence.Digest != "" {
		sum, err := digest.Parse(evidence.Digest)
		if err != nil {
			return err
		}
		went = append(went, provenance.Resource{Digest: provenance.SHA256(sum),
			URI: p.SourceURL() + "/releases/download/" + evidence.Tag.String() + "/" + release.MeasurementsAsset})
	}
	return p.WriteProvenance(went)
}
