package image

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Labels of the image; the first four are also annotations of manifest and index.
const (
	VersionLabel  = "org.opencontainers.image.version"
	RevisionLabel = "org.opencontainers.image.revision"
	SourceLabel   = "org.opencontainers.image.source"
	CreatedLabel  = "org.opencontainers.image.created"
	ProfileLabel  = "network.calimero.mero-kms.profile"
)

// What the key service's image must say of itself.
const (
	Entrypoint  = "/mero-kms"
	User        = "65532:65532"
	Port        = "8080/tcp"
	profileFile = "etc/mero-kms/image-profile"
)

// Inspection is what an image index, read back from the registry, says and holds.
type Inspection struct {
	Digest    v1.Hash
	Profile   release.Profile // as pinned inside every platform's image
	Platforms []Platform      // in the order of Platforms()
}

// Platform is one image of the index.
type Platform struct {
	Name   string  // "linux/amd64"
	Digest v1.Hash // of the manifest
	Config v1.Config
	Files  []File // regular files by path
}

// File is one regular file of an image.
type File struct {
	Path   string // without a leading slash
	Mode   int64
	Size   int64
	Digest v1.Hash
	pin    string // content of the profile file
}

// Expected is what a release knows about its image.
type Expected struct {
	Profile  release.Profile
	Version  release.Version
	Revision string
	Source   string
}

// Inspect reads the index that digest names, both its images and every file in
// them, and checks that they are what the key service's image must be and what
// want says. Errors of the check carry code 10 and list every finding.
func Inspect(ctx context.Context, digest name.Digest, want Expected, r Remote) (Inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	index, err := remote.Index(digest, r.options(ctx)...)
	if err != nil {
		return Inspection{}, remoteFault("read "+digest.Name(), err)
	}
	out, err := read(index)
	if err != nil {
		return Inspection{}, remoteFault("read "+digest.Name(), err)
	}
	out.Profile = want.Profile
	if findings := out.findings(want); len(findings) > 0 {
		return Inspection{}, fault.Mismatch("image "+digest.Name()+" is not what was to be released",
			fmt.Sprintf("%s %s of commit %s", want.Profile, want.Version, want.Revision), strings.Join(findings, "; "))
	}
	return out, nil
}

func read(index v1.ImageIndex) (Inspection, error) {
	digest, err := index.Digest()
	if err != nil {
		return Inspection{}, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return Inspection{}, err
	}
	out := Inspection{Digest: digest}
	for _, d := range manifest.Manifests {
		if d.Platform == nil || !d.MediaType.IsImage() || len(out.Platforms) == len(Platforms()) {
			return Inspection{}, fmt.Errorf("index entry %s is not one of the platforms' images", d.Digest)
		}
		image, err := index.Image(d.Digest)
		if err != nil {
			return Inspection{}, err
		}
		platform, err := readPlatform(image, *d.Platform)
		if err != nil {
			return Inspection{}, fmt.Errorf("%s: %w", d.Platform, err)
		}
		out.Platforms = append(out.Platforms, platform)
	}
	return out, nil
}

func readPlatform(image v1.Image, platform v1.Platform) (Platform, error) {
	digest, err := image.Digest()
	if err != nil {
		return Platform{}, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return Platform{}, err
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		return Platform{}, fmt.Errorf("config says %s/%s", config.OS, config.Architecture)
	}
	out := Platform{Name: platform.String(), Digest: digest, Config: config.Config}
	err = walk(image, func(h *tar.Header, r io.Reader) error {
		if h.Typeflag != tar.TypeReg {
			return nil
		}
		file, err := readFile(h, r)
		out.Files = append(out.Files, file)
		return err
	})
	slices.SortFunc(out.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out, err
}

func readFile(h *tar.Header, r io.Reader) (File, error) {
	file := File{Path: h.Name, Mode: h.Mode, Size: h.Size}
	var pin strings.Builder
	if h.Name == profileFile && h.Size < 64 {
		r = io.TeeReader(r, &pin)
	}
	var err error
	file.Digest, _, err = v1.SHA256(r)
	file.pin = pin.String()
	return file, err
}
