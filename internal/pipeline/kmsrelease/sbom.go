package kmsrelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// sbom lets syft read the image as it was pushed, and then compares the result
// with what the Go linker wrote into the binaries of both architectures.
func (p *Pipeline) sbom(ctx context.Context, w *pipeline.Work) error {
	var sources []sbom.Source
	var binaries []string
	for _, platform := range image.Platforms() {
		sources = append(sources, sbom.Image(p.Work(layoutDir), platform.String()))
		binaries = append(binaries, p.Work(contextDir, binaryName+"-linux-"+platform.Architecture))
	}
	return p.WriteSBOM(ctx, w, binaryName, sources, func(data []byte) error { return sbom.Check(data, binaries...) })
}
