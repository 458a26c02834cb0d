package image

import (
	"context"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Binary is the name of the program in the build context.
const Binary = "mero-kms-linux-amd64"

// FromSource compiles the service of the repository at root into the folder
// o.Context, and builds its images of that: o.Dockerfile is the repository's own.
func FromSource(ctx context.Context, root string, o Options) (map[release.Profile]v1.Image, error) {
	_, err := gobuild.Compile(ctx, gobuild.Program{Module: root, Package: "./docker/mero-kms", Name: "mero-kms",
		GOARCH: platform.Architecture, OutDir: o.Context})
	if err != nil {
		return nil, err
	}
	if err := PinProfiles(o.Context); err != nil {
		return nil, err
	}
	o.Dockerfile = filepath.Join(root, "docker", "mero-kms", "Dockerfile")
	return Build(o)
}
