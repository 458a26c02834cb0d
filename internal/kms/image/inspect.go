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

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Labels of the image; the first four are also annotations of its manifest.
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

// Expected is what a release knows about its image.
type Expected struct {
	Profile  release.Profile
	Version  release.Version
	Revision string
	Source   string
}

// Inspect reads the image that digest names, and every file in it, and checks
// that it is what the key service's image must be and what want says. The
// check's error carries code 10 and lists every finding.
func Inspect(ctx context.Context, digest name.Digest, want Expected, r Remote) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var found []string
	err := r.read(ctx, digest, func(image v1.Image) (err error) {
		found, err = want.findings(image)
		return err
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return fault.Mismatch("image "+digest.Name()+" is not what was to be released",
		fmt.Sprintf("%s %s of commit %s", want.Profile, want.Version, want.Revision), strings.Join(found, "; "))
}

// findings lists everything in which the image differs from what it must be.
func (want Expected) findings(image v1.Image) (found []string, err error) {
	say := func(ok bool, format string, args ...any) {
		if !ok {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	say(file.OS == platform.OS && file.Architecture == platform.Architecture,
		"is for %s/%s, not %s", file.OS, file.Architecture, platform)
	config := file.Config
	for _, l := range [][2]string{{VersionLabel, want.Version.String()}, {RevisionLabel, want.Revision},
		{SourceLabel, want.Source}, {ProfileLabel, string(want.Profile)}} {
		say(config.Labels[l[0]] == l[1], "label %s is %q, not %q", l[0], config.Labels[l[0]], l[1])
	}
	say(config.Labels[CreatedLabel] != "", "label %s is missing", CreatedLabel)
	say(slices.Equal(config.Entrypoint, []string{Entrypoint}) && len(config.Cmd) == 0,
		"runs %q %q, not %q", config.Entrypoint, config.Cmd, Entrypoint)
	say(config.User == User, "user is %q, not %s", config.User, User)
	_, exposed := config.ExposedPorts[Port]
	say(exposed && len(config.ExposedPorts) == 1, "does not expose %s alone", Port)
	files, err := readFiles(image)
	say(len(files) == 2, "holds %d files instead of 2", len(files))
	binary, pin := files.at(Entrypoint[1:]), files.at(profileFile)
	say(binary.size > 0 && binary.mode == 0o755, "%s is absent, empty or not of mode 0755", Entrypoint)
	say(pin.pin == string(want.Profile)+"\n", "/%s holds %q, not %q", profileFile, pin.pin, want.Profile)
	return found, err
}

// imageFile is one regular file of an image.
type imageFile struct {
	path       string // without a leading slash
	mode, size int64
	pin        string // content of the profile file
}

type imageFiles []imageFile

func (files imageFiles) at(path string) imageFile {
	i := slices.IndexFunc(files, func(f imageFile) bool { return f.path == path })
	if i < 0 {
		return imageFile{}
	}
	return files[i]
}

// readFiles reads the regular files of all layers, lowest first: one that stands in two is there twice.
func readFiles(image v1.Image) (files imageFiles, err error) {
	err = walk(image, func(h *tar.Header, r io.Reader) error {
		if h.Typeflag != tar.TypeReg {
			return nil
		}
		f := imageFile{path: h.Name, mode: h.Mode, size: h.Size}
		if h.Name == profileFile && h.Size < 64 {
			content, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			f.pin = string(content)
		}
		files = append(files, f)
		return nil
	})
	return files, err
}
