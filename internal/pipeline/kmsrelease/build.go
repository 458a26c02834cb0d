package kmsrelease

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	imagesFile = "images.json"
	layoutDir  = "layout" // the production profile's image on disk, for syft
	contextDir = "context"
	binaryName = "mero-kms"
)

// images is work/images.json: the index digest of each profile.
type images map[release.Profile]measurement.SHA256

func (r *Release) buildInputs(context.Context) (pipeline.Digests, error) {
	sources, err := r.sources()
	return pipeline.Digests{"sources": sources, "registry": r.Env.Config.Registry, "tag": r.Tag.String()}, err
}

// build compiles the service once per architecture, makes one index per
// profile, and pushes each by digest.
func (r *Release) build(ctx context.Context, w *pipeline.Work) error {
	if err := r.compile(ctx); err != nil {
		return err
	}
	indexes, err := image.Build(image.Options{
		Dockerfile: filepath.Join(r.Env.Root, "docker/mero-kms/Dockerfile"), Context: r.Work(contextDir),
		Version: r.Tag.Version, Revision: r.Checkout.Commit, Source: r.SourceURL(), Epoch: r.Checkout.Time})
	if err != nil {
		return err
	}
	pushed := images{}
	for _, profile := range release.Profiles() {
		digest, err := r.push(ctx, w, profile, indexes[profile])
		if err != nil {
			return err
		}
		pushed[profile] = digest
	}
	if err := r.layout(indexes[r.Env.Config.Profile]); err != nil {
		return err
	}
	return steps.WriteJSON(r.Work(imagesFile), pushed)
}

func (r *Release) compile(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, platform := range image.Platforms() {
		g.Go(func() error {
			_, err := image.Compile(ctx, image.CompileOptions{Root: r.Env.Root, Package: "./docker/mero-kms", Name: binaryName,
				GOARCH: platform.Architecture, OutDir: r.Work(contextDir)})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return image.PinProfiles(r.Work(contextDir))
}

func (r *Release) push(ctx context.Context, w *pipeline.Work, profile release.Profile, index v1.ImageIndex) (measurement.SHA256, error) {
	tag, err := r.imageTag(profile)
	if err != nil {
		return measurement.SHA256{}, err
	}
	if err := w.Journal("push begins", tag.String()); err != nil {
		return measurement.SHA256{}, err
	}
	pushed, err := image.Push(ctx, tag, index, r.remote())
	if err != nil {
		return measurement.SHA256{}, err
	}
	if pushed.Skipped {
		w.Infof("%s is there already", tag)
	} else {
		w.Infof("pushed %s as %s", tag, pushed.Digest)
	}
	digest, err := measurement.ParseSHA256(pushed.Digest.String())
	if err != nil {
		return digest, err
	}
	return digest, w.Journal("pushed", tag.Context().Digest(pushed.Digest.String()).String())
}

func (r *Release) layout(index v1.ImageIndex) error {
	dir := r.Work(layoutDir)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return image.Layout(index, dir)
}

func (r *Release) remote() image.Remote {
	return image.Remote{Transport: r.Env.Transport, Auth: r.Env.RegistryAuth}
}

// imageTag is the image's human name, {registry}/mero-kms:{version}-{profile}.
func (r *Release) imageTag(p release.Profile) (name.Tag, error) {
	return name.NewTag(fmt.Sprintf("%s/mero-kms:%s-%s", r.Env.Config.Registry, r.Tag.Version, p), name.StrictValidation)
}

// readImages reads back what the build step pushed.
func (r *Release) readImages() (images, error) {
	out := images{}
	return out, steps.ReadJSON(r.Work(imagesFile), &out)
}
