package kmsrelease

import (
	"context"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/atomicfile"
	"github.com/calimero-network/mero-tee/internal/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/sbom"
	"github.com/calimero-network/mero-tee/internal/tool"
)

// sbom lets syft read the image as it was pushed, and then compares the result
// with what the Go linker wrote into the binaries of both architectures.
func (r *Release) sbom(ctx context.Context, w *pipeline.Work) error {
	syft, err := tool.Build(ctx, sbom.Program(r.Env.Root), func(line string) { w.Noticef("%s", line) })
	if err != nil {
		return err
	}
	var sources []sbom.Source
	var binaries []string
	for _, p := range image.Platforms() {
		sources = append(sources, sbom.Image(r.Work(layoutDir), p.String()))
		binaries = append(binaries, r.Work(contextDir, binaryName+"-linux-"+p.Architecture))
	}
	data, err := sbom.Generate(ctx, sbom.Options{Syft: syft, Sources: sources,
		Name: binaryName, Version: r.Tag.Version.String(), Epoch: r.Checkout.Time})
	if err != nil {
		return err
	}
	if err := sbom.Check(data, binaries...); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(r.Assets(), release.SBOMAsset), data, 0o644)
}
