package noderelease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// sbom lets syft read what each record lists: the packages, as a package
// database of Debian, and the programs themselves.
func (p *Pipeline) sbom(ctx context.Context, w *pipeline.Work) error {
	var sources []sbom.Source
	var images []listing
	for _, profile := range release.Profiles() {
		record, sum, err := p.record(profile)
		if err != nil {
			return err
		}
		dir := p.Work("sbom", string(profile))
		if err := p.layOut(ctx, dir, record); err != nil {
			return err
		}
		packages, err := record.Listed(p.Env.Config.Repository)
		if err != nil {
			return err
		}
		images = append(images, listing{profile, sum, packages})
		sources = append(sources, sbom.Folder(dir, string(profile), sum, packages))
	}
	return p.WriteSBOM(ctx, w, string(release.Node), sources, func(data []byte) error { return listsAll(data, images) })
}

// listing is what is in a profile's image, by the digest of its record.
type listing struct {
	profile  release.Profile
	image    digest.Digest
	packages []sbom.Package
}

// listsAll wants of each image all that is in it, and nothing else.
func listsAll(data []byte, images []listing) error {
	listed, err := sbom.Read(data)
	if err != nil {
		return err
	}
	problems := []error{listed.Form()}
	for _, i := range images {
		if err := listed.Check(i.image, i.packages); err != nil {
			problems = append(problems, fmt.Errorf("profile %s: %w", i.profile, err))
		}
	}
	return errors.Join(problems...)
}

// layOut writes the record's packages, the system that they are of, and the
// programs where syft looks for them.
func (p *Pipeline) layOut(ctx context.Context, dir string, record *image.Record) error {
	programs, err := p.Env.Images.Programs(ctx, record.Profile)
	if err != nil {
		return err
	}
	database, system := filepath.Join(dir, "var/lib/dpkg/status"), filepath.Join(dir, "usr/lib/os-release")
	folder := filepath.Join(dir, image.Folder)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Dir(database), 0o755),
		os.MkdirAll(folder, 0o755)); err != nil {
		return err
	}
	for _, b := range record.Binaries {
		if err := copyProgram(filepath.Join(programs, b.Name), filepath.Join(folder, b.Name), b.SHA256); err != nil {
			return err
		}
	}
	var status strings.Builder
	for _, p := range record.Packages {
		status.WriteString(p.Status())
	}
	return errors.Join(os.WriteFile(database, []byte(status.String()), 0o600),
		os.WriteFile(system, []byte(record.Boot.OSRelease), 0o600))
}

// copyProgram copies a program that must be the one in the image.
func copyProgram(from, to string, want digest.Digest) error {
	if err := file.Copy(to, from, 0o755); err != nil {
		return err
	}
	got, _, err := digest.OfFile(to)
	if err == nil && got != want {
		err = fault.Mismatch(filepath.Base(from)+" is not the one in the image", want.String(), got.String())
	}
	return err
}
