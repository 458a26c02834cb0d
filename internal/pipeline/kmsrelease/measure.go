package kmsrelease

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

func measureAssets() []string {
	out := []string{release.MeasurementsAsset, release.ComposeHashAsset}
	for _, profile := range release.Profiles() {
		out = append(out, release.ComposeAsset(profile))
	}
	return out
}

func (p *Pipeline) measureInputs(context.Context) (pipeline.Digests, error) {
	platform, err := steps.FileDigest(p.Env.PlatformFile)
	if err != nil {
		return nil, err
	}
	host, err := steps.FileDigest(p.Checkout.HostTCB)
	if err != nil {
		return nil, err
	}
	file, err := steps.FileDigest(p.composeFile())
	return pipeline.Digests{"platform": platform, "compose": file, "host-tcb": host,
		"tdx-root": hex.EncodeToString(p.Env.TDXRoot[:])}, err
}

func (p *Pipeline) composeFile() string {
	return filepath.Join(p.Env.Root, filepath.FromSlash(compose.Path))
}

// measure inspects the pushed images, fills in the compose file with their
// digests, and predicts what a TD that runs it will show.
func (p *Pipeline) measure(ctx context.Context, w *pipeline.Work) error {
	pushed, err := p.readImages()
	if err != nil {
		return err
	}
	if err := p.inspect(ctx, pushed); err != nil {
		return err
	}
	hashes := map[release.Profile]digest.Digest{}
	for _, profile := range release.Profiles() {
		if hashes[profile], err = p.writeCompose(ctx, profile, pushed[profile]); err != nil {
			return err
		}
		w.Infof("compose hash of %s is %s", profile, hashes[profile])
	}
	list, err := compose.FormatHashes(hashes)
	if err != nil {
		return err
	}
	if err := p.WriteAsset(release.ComposeHashAsset, list); err != nil {
		return err
	}
	return p.predict(pushed, hashes)
}

// inspect reads every image back from the registry and judges it.
func (p *Pipeline) inspect(ctx context.Context, pushed images) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, profile := range release.Profiles() {
		g.Go(func() error {
			tag, err := p.imageTag(profile)
			if err != nil {
				return err
			}
			return image.Inspect(ctx, tag.Context().Digest(pushed[profile].String()),
				image.Expected{Profile: profile, Version: p.Tag.Version, Revision: p.Checkout.Commit, Source: p.SourceURL()},
				p.remote())
		})
	}
	return g.Wait()
}

// writeCompose writes app-compose-{profile}.json and returns its hash. The
// policy's own digest is in it, so the compose hash vouches for the policy too.
func (p *Pipeline) writeCompose(ctx context.Context, profile release.Profile,
	imageDigest digest.Digest) (hash digest.Digest, err error) {
	source, err := os.ReadFile(p.composeFile())
	if err != nil {
		return hash, err
	}
	policy, _, err := digest.OfFile(filepath.Join(p.Assets(), release.PolicyAsset(profile)))
	if err != nil {
		return hash, err
	}
	tag, err := p.imageTag(profile)
	if err != nil {
		return hash, err
	}
	app, err := compose.Release(ctx, source, compose.Values{Image: tag.Context().Digest(imageDigest.String()).String(),
		Version: p.Tag.Version, Profile: profile, PolicyURL: p.assetURL(release.PolicyAsset(profile)), Policy: policy,
		TDXRoot: p.Env.TDXRoot})
	if err != nil {
		return hash, err
	}
	return compose.Hash(app), p.WriteAsset(release.ComposeAsset(profile), app)
}

func (p *Pipeline) assetURL(name string) string {
	return p.SourceURL() + "/releases/download/" + p.Tag.String() + "/" + name
}

func (p *Pipeline) predict(pushed images, hashes map[release.Profile]digest.Digest) error {
	data, err := os.ReadFile(p.Env.PlatformFile)
	if err != nil {
		return err
	}
	platforms, err := measurement.DecodePlatforms(data)
	if err != nil {
		return err
	}
	platform, err := platforms.Chosen()
	if err != nil {
		return err
	}
	named := map[release.Profile]measurement.Image{}
	for profile := range hashes {
		tag, err := p.imageTag(profile)
		if err != nil {
			return err
		}
		named[profile] = measurement.Image{Name: tag.String(), Digest: pushed[profile]}
	}
	host, err := tcb.ReadHost(p.Checkout.HostTCB)
	if err != nil {
		return err
	}
	published, err := measurement.PredictKMS(p.Tag, p.Checkout.Commit, platform, host.List, named, hashes)
	if err != nil {
		return err
	}
	return p.EncodeAsset(release.MeasurementsAsset, published)
}
