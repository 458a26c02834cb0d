package kmsrelease

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

// audit reads the public release as a stranger, and the images that it names.
func (p *Pipeline) audit(ctx context.Context, w *pipeline.Work) error {
	if err := p.Audit(ctx, w); err != nil {
		return err
	}
	published, err := steps.ReadMeasurements(p.Public())
	if err != nil {
		return err
	}
	var results check.Results
	for _, profile := range release.Profiles() {
		results = append(results, check.Of("anybody can pull the image of "+string(profile),
			p.public(ctx, published.Profiles[profile].Image.Name, published.Profiles[profile].Image.Digest.String())))
	}
	return p.Judged(results).Report(w.Console)
}

// public is for an image's tag and its digest, as published-mrtds.json names them.
func (p *Pipeline) public(ctx context.Context, tag, digest string) error {
	named, err := name.NewTag(tag, name.StrictValidation)
	if err != nil {
		return err
	}
	return image.Public(ctx, named.Context().Digest(digest), p.Env.Transport)
}
