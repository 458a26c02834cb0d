package noderelease

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/atomicfile"
	"github.com/calimero-network/mero-tee/internal/checksum"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/measurement"
	"github.com/calimero-network/mero-tee/internal/nodeimage"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/sbom"
	"github.com/calimero-network/mero-tee/internal/tool"
)

// sbom lets syft read what each record lists: the packages, as a package
// database of Debian, and the programs themselves.
func (r *Release) sbom(ctx context.Context, w *pipeline.Work) error {
	syft, err := tool.Build(ctx, sbom.Program(r.Env.Root), func(line string) { w.Noticef("%s", line) })
	if err != nil {
		return err
	}
	o := sbom.Options{Syft: syft, Name: string(release.Node), Version: r.Tag.Version.String(), Epoch: r.Checkout.Time}
	records := map[[32]byte]*nodeimage.Record{}
	for _, p := range release.Profiles() {
		record, digest, err := r.recordOf(p)
		if err != nil {
			return err
		}
		dir := r.Work("sbom", string(p))
		if err := r.layOut(ctx, dir, record); err != nil {
			return err
		}
		records[digest] = record
		o.Sources = append(o.Sources, sbom.Folder(dir, string(p), digest))
	}
	data, err := sbom.Generate(ctx, o)
	if err != nil {
		return err
	}
	for digest, record := range records {
		if err := sbom.CheckPackages(data, digest, record.PackageVersions()); err != nil {
			return fmt.Errorf("profile %s: %w", record.Profile, err)
		}
	}
	return atomicfile.Write(filepath.Join(r.Assets(), release.SBOMAsset), data, 0o644)
}

func (r *Release) recordOf(p release.Profile) (*nodeimage.Record, measurement.SHA256, error) {
	data, err := os.ReadFile(filepath.Join(r.Assets(), release.RecordAsset(p)))
	if err != nil {
		return nil, measurement.SHA256{}, err
	}
	record, err := nodeimage.Decode(data)
	return record, measurement.Sum(data), err
}

// layOut writes the record's packages and programs where syft looks for them.
func (r *Release) layOut(ctx context.Context, dir string, record *nodeimage.Record) error {
	programs, err := r.Env.Images.Programs(ctx, record.Profile)
	if err != nil {
		return err
	}
	database := filepath.Join(dir, "var/lib/dpkg")
	folder := filepath.Join(dir, nodeimage.Folder)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(database, 0o755), os.MkdirAll(folder, 0o755)); err != nil {
		return err
	}
	for _, b := range record.Binaries {
		if err := copyProgram(filepath.Join(programs, b.Name), filepath.Join(folder, b.Name), b.SHA256); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(database, "status"), []byte(status(record.Packages)), 0o600)
}

// status is /var/lib/dpkg/status, reduced to what a record says.
func status(packages []nodeimage.Package) string {
	var b strings.Builder
	for _, p := range packages {
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nVersion: %s\nArchitecture: %s\n\n", p.Name, p.Version, p.Architecture)
	}
	return b.String()
}

// copyProgram copies a program that must be the one in the image.
func copyProgram(from, to string, want measurement.SHA256) error {
	got, _, err := checksum.Digest(from)
	if err != nil {
		return err
	}
	if got != want {
		return &fault.Error{Code: fault.Verification, Message: filepath.Base(from) + " is not the one in the image", Expected: want.String(), Got: measurement.SHA256(got).String()}
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // read only
	return atomicfile.Stream(to, 0o755, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
