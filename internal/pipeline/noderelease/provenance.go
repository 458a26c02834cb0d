package noderelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/artifact/provenance"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// provenance says what the images were made of: besides the commit the base image
// and the programs of others, as the records have them.
func (p *Pipeline) provenance(context.Context, *pipeline.Work) error {
	var went []provenance.Resource
	for _, profile := range release.Profiles() {
		record, _, err := p.record(profile)
		if err != nil {
			return err
		}
		went = append(went, record.Ingredients()...)
	}
	return p.WriteProvenance(went)
}
