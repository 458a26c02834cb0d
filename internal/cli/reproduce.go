package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Reproduce audits a public release, builds its images again from a clean clone of
// its commit, and says of each whether it is the released one.
func Reproduce(ctx context.Context, name string) error {
	tag, err := release.ParseTag(name)
	if err != nil {
		return err
	}
	if tag.Family != release.KMS {
		return &fault.Error{Code: fault.Usage,
			Message:  "a node image is not built again by this command: Packer builds it at Google Cloud",
			Expected: "a tag mero-kms-vX.Y.Z", Got: tag.String(),
			Hint: "build a candidate of the same commit, and compare the records by `go tool mage measurement:diff`"}
	}
	return operate(ctx, func(o *operator) error {
		return o.reading(ctx, tag, func(dir string) error {
			published, err := steps.ReadMeasurements(dir)
			if err != nil {
				return err
			}
			results, err := o.reproduced(ctx, published)
			if err != nil {
				return err
			}
			return results.Report(o.console)
		})
	})
}

func (o *operator) reproduced(ctx context.Context, published *measurement.Published) (check.Results, error) {
	dir, err := os.MkdirTemp("", "mero-tee-reproduce-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root := filepath.Join(dir, "clone")
	commit, err := git.Clone(ctx, o.env.Root, published.Commit, root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fault.Error{Code: fault.General, Message: "the release's commit is not in this clone", Err: err,
			Expected: published.Commit, Hint: "git fetch --unshallow --tags, and try again"}
	}
	if err != nil {
		return nil, err
	}
	o.console.Infof("building %s again from a clean clone of %s", published.Tag, commit.Hash)
	built, err := image.FromSource(ctx, root, image.Options{Context: filepath.Join(dir, "context"),
		Version: published.Tag.Version, Revision: commit.Hash, Epoch: commit.Time,
		Source: "https://github.com/" + o.env.Config.Repository})
	if err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the release's commit does not build", Err: err}
	}
	var out check.Results
	for _, p := range release.Profiles() {
		r, err := o.sameImage(ctx, p, published.Profiles[p].Image, built[p])
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// sameImage compares one profile's image with the released one.
func (o *operator) sameImage(ctx context.Context, p release.Profile, released measurement.Image,
	again v1.Image) (check.Result, error) {
	title := "image of " + string(p) + " is reproduced"
	reference, err := released.Reference(release.KMS)
	if err != nil {
		return check.Result{}, err
	}
	digest, err := name.NewDigest(reference, name.StrictValidation)
	if err != nil {
		return check.Result{}, err
	}
	differences, err := image.Differences(ctx, digest, again, image.Remote{Transport: o.env.Transport})
	if err != nil {
		return check.Result{}, err
	}
	if len(differences) == 0 {
		return check.Pass(title).Noting(digest.DigestStr()), nil
	}
	for _, line := range differences {
		o.console.Infof("%s: %s", p, line)
	}
	return check.Fail(title, fault.Verification, "another image is built from the commit", digest.DigestStr(),
		fmt.Sprintf("%d differences: %s", len(differences), strings.Join(differences[:min(3, len(differences))], "; "))).
		WithHint("the commit's go.mod names the version of Go that it is built with; a release of changes that were not " +
			"committed, as a rehearsal may be, is never reproduced"), nil
}
