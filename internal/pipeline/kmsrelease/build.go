package kmsrelease

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	imagesFile = "images.json"
	layoutDir  = "layout" // has each profile's image on disk, for syft
	contextDir = "context"
)

// images is work/images.json: the image digest of each profile.
type images map[release.Profile]digest.Digest

func (p *Pipeline) buildInputs(context.Context) (pipeline.Digests, error) {
	sources, err := p.sources()
	return pipeline.Digests{"sources": sources, "registry": p.Env.Config.Registry, "tag": p.Tag.String()}, err
}

// build compiles the service, makes one image per profile, and pushes each by digest.
func (p *Pipeline) build(ctx context.Context, w *pipeline.Work) error {
	built, err := image.FromSource(ctx, p.Env.Root, image.Options{Context: p.Work(contextDir), Version: p.Tag.Version,
		Revision: p.Checkout.Commit, Source: p.SourceURL(), Epoch: p.Checkout.Time})
	if err != nil {
		return err
	}
	pushed := images{}
	for _, profile := range release.Profiles() {
		if pushed[profile], err = p.push(ctx, w, profile, built[profile]); err != nil {
			return err
		}
	}
	if err := p.layouts(built); err != nil {
		return err
	}
	return steps.WriteJSON(p.Work(imagesFile), pushed)
}

func (p *Pipeline) push(ctx context.Context, w *pipeline.Work, profile release.Profile,
	built v1.Image) (digest.Digest, error) {
	tag, err := p.imageTag(profile)
	if err != nil {
		return digest.Digest{}, err
	}
	var pushed image.Pushed
	err = w.Do(journal.Push, tag.String(), func() error {
		pushed, err = image.Push(ctx, tag, built, p.remote())
		return err
	})
	if err != nil {
		return digest.Digest{}, err
	}
	if pushed.Skipped {
		w.Infof("%s is there already", tag)
	} else {
		w.Infof("pushed %s as %s", tag, pushed.Digest)
	}
	return digest.Parse(pushed.Digest.String())
}

func (p *Pipeline) layouts(built map[release.Profile]v1.Image) error {
	if err := os.RemoveAll(p.Work(layoutDir)); err != nil {
		return err
	}
	for profile, i := range built {
		if err := image.Layout(i, p.Work(layoutDir, string(profile))); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipeline) remote() image.Remote {
	return image.Remote{Transport: p.Env.Transport, Auth: p.Env.RegistryAuth}
}

// imageTag is the image's human name, {registry}/mero-kms:{version}-{profile}.
func (p *Pipeline) imageTag(profile release.Profile) (name.Tag, error) {
	return name.NewTag(fmt.Sprintf("%s/mero-kms:%s-%s", p.Env.Config.Registry, p.Tag.Version, profile),
		name.StrictValidation)
}

// readImages reads back what the build step pushed.
func (p *Pipeline) readImages() (images, error) {
	out := images{}
	return out, steps.ReadJSON(p.Work(imagesFile), &out)
}

// sourceDigest digests what the key service's image is built from: the module
// files, the image's own folder and every Go file below the packages it may import.
func sourceDigest(root string) (string, error) {
	return steps.TreeDigest(root, isSource, "go.mod", "go.sum", "docker/mero-kms", "internal", "policies")
}

func isSource(name string) bool {
	if strings.Contains(name, "/testdata/") || strings.HasSuffix(name, "_test.go") {
		return false
	}
	return !strings.Contains(name, "/") || strings.HasPrefix(name, "docker/") || filepath.Ext(name) == ".go"
}

// sbom lets syft read each profile's image as it was pushed, and then compares the
// result with what the Go linker wrote into the binary that they share.
func (p *Pipeline) sbom(ctx context.Context, w *pipeline.Work) error {
	binary := p.Work(contextDir, image.Binary)
	var sources []sbom.Source
	for _, profile := range release.Profiles() {
		sources = append(sources, sbom.Image(p.Work(layoutDir, string(profile)), string(profile)))
	}
	return p.WriteSBOM(ctx, w, string(release.KMS), sources,
		func(data []byte) error { return sbom.Check(data, binary) })
}
