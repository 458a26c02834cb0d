package kmsrelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// sbom lets syft read the image as it was pushed, and then compares the result
// with what the Go linker wrote into the binaries of both architectures.
func (r *Release) sbom(ctx context.Context, w *pipeline.Work) error {
	var sources []sbom.Source
	var binaries []string
	for _, p := range image.Platforms() {
		sources = append(sources, sbom.Image(r.Work(layoutDir), p.String()))
		binaries = append(binaries, r.Work(contextDir, binaryName+"-linux-"+p.Architecture))
	}
	return r.WriteSBOM(ctx, w, binaryName, sources, func(data []byte) error { return sbom.Check(data, binaries...) })
}
