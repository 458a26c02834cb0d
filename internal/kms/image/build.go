// Package image builds, pushes, inspects and unpacks the key service's
// container images.
//
// Its promise: the same sources, Dockerfile and commit give the same bytes on
// any machine, whatever its umask, clock, folder or environment; a pushed tag
// never moves; and what Inspect and Unpack return was read back from the
// registry and matches the digest that was asked for.
package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Options says what to build. Everything in it, and nothing else, goes into the image.
type Options struct {
	Dockerfile string          // path
	Context    string          // the folder that COPY reads from; see gobuild.Compile and PinProfiles
	Version    release.Version // org.opencontainers.image.version
	Revision   string          // the commit: org.opencontainers.image.revision
	Source     string          // the repository's URL: org.opencontainers.image.source
	Epoch      time.Time       // SOURCE_DATE_EPOCH: every time in the image
}

// PinProfiles writes image-profile/{profile} into the build context: the file
// that pins an image to one profile, its name and a newline.
func PinProfiles(context string) error {
	for _, p := range release.Profiles() {
		if err := file.Write(filepath.Join(context, "image-profile", string(p)), []byte(string(p)+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// platform is that of every image: TDX is a technology of x86-64 processors.
var platform = v1.Platform{OS: "linux", Architecture: "amd64"}

// Build returns one image per profile. Layers are read from Context when they
// are used, so the folder must stay until the images are pushed. Errors about
// the Dockerfile carry code 2.
func Build(o Options) (map[release.Profile]v1.Image, error) {
	o.Epoch = o.Epoch.UTC().Truncate(time.Second)
	b := &builder{Options: o, layers: map[fileLayer]v1.Layer{}}
	out := map[release.Profile]v1.Image{}
	for _, profile := range release.Profiles() {
		image, err := b.image(profile)
		if err != nil {
			return nil, err
		}
		out[profile] = image
	}
	return out, nil
}

type builder struct {
	Options
	layers map[fileLayer]v1.Layer // the binary is compressed once, not once per profile
}

// metadata is said twice: in the image's labels and in its manifest's annotations.
func (b *builder) metadata() map[string]string {
	return map[string]string{
		VersionLabel:  b.Version.String(),
		RevisionLabel: b.Revision,
		SourceLabel:   b.Source,
		CreatedLabel:  b.Epoch.Format(time.RFC3339),
	}
}

func (b *builder) image(profile release.Profile) (v1.Image, error) {
	file, err := readDockerfile(b.Dockerfile)
	if err != nil {
		return nil, err
	}
	s := newStage(b, file, map[string]string{"PROFILE": string(profile)})
	for _, command := range file.commands {
		if err := s.apply(command); err != nil {
			return nil, err
		}
	}
	if err := s.startable(); err != nil {
		return nil, err
	}
	maps.Copy(s.config.Labels, b.metadata())
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: platform.OS, Architecture: platform.Architecture,
		Created: v1.Time{Time: b.Epoch}, Config: s.config, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		return nil, fmt.Errorf("image config: %w", err)
	}
	if image, err = mutate.Append(image, s.layers...); err != nil {
		return nil, fmt.Errorf("image layers: %w", err)
	}
	return mutate.Annotations(image, b.metadata()).(v1.Image), nil
}

// file is a file of the context in the image.
func (b *builder) file(source, target string, mode int64) fileLayer {
	return fileLayer{context: b.Context, source: filepath.ToSlash(filepath.Clean(source)),
		target: strings.TrimPrefix(target, "/"), mode: mode, epoch: b.Epoch}
}

// layer returns the layer that holds one file.
func (b *builder) layer(f fileLayer) (v1.Layer, error) {
	if layer, ok := b.layers[f]; ok {
		return layer, nil
	}
	// The tar is streamed from the file each time it is read; only the compressed form is kept in memory, once.
	layer, err := tarball.LayerFromOpener(f.tar, tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
	if err == nil {
		b.layers[f] = layer
	}
	return layer, err
}

// fileLayer is a layer of one file and the folders above it, all root's.
type fileLayer struct {
	context, source string // source is relative to context
	target          string // without the leading slash
	mode            int64
	epoch           time.Time
}

// size is how many bytes the file has.
func (f fileLayer) size() (int64, error) {
	file, err := f.open()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// open refuses a path that leaves the context, through dots or symbolic links.
func (f fileLayer) open() (*os.File, error) {
	root, err := os.OpenRoot(f.context)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, err := root.Open(f.source)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", f.source)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func (f fileLayer) tar() (io.ReadCloser, error) {
	file, err := f.open()
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	head, err := f.headers(info.Size())
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	// A tar ends each file at a multiple of 512 bytes and itself with two blocks of zeros.
	tail := make([]byte, (-info.Size()&511)+1024)
	body := io.MultiReader(head, io.LimitReader(file, info.Size()), bytes.NewReader(tail))
	return struct {
		io.Reader
		io.Closer
	}{body, file}, nil
}

func (f fileLayer) headers(size int64) (io.Reader, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, folder := range parents(f.target) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755,
			ModTime: f.epoch, Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
	}
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.target, Size: size, Mode: f.mode,
		ModTime: f.epoch, Format: tar.FormatUSTAR})
	return &b, err
}

// parents lists the folders above target, outermost first.
func parents(target string) []string {
	var out []string
	dir := path.Dir(target)
	for i, r := range dir + "/" {
		if r == '/' && dir != "." {
			out = append(out, dir[:i])
		}
	}
	return out
}
