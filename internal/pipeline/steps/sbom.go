package steps

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// WriteSBOM lets syft read the sources, and stages what it says if that passes
// check: what the document must list is known from elsewhere.
func (l *Lane) WriteSBOM(ctx context.Context, w *pipeline.Work, name string, sources []sbom.Source, check func(data []byte) error) error {
	syft, err := gobuild.Build(ctx, sbom.Program(l.Env.Root), func(line string) { w.Noticef("%s", line) })
	if err != nil {
		return err
	}
	data, err := sbom.Generate(ctx, sbom.Options{Syft: syft, Sources: sources, Name: name, Version: l.Tag.Version.String(), Epoch: l.Checkout.Time})
	if err != nil {
		return err
	}
	if err := check(data); err != nil {
		return err
	}
	return l.WriteAsset(release.SBOMAsset, data)
}
