package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Reproduce audits a public release, builds its images again from a clean clone of
// its commit, and says of each whether it is the released one: of all profiles, or
// of one.
func Reproduce(ctx context.Context, name, profile string) error {
	tag, err := release.ParseTag(name)
	if err != nil {
		return err
	}
	profiles := release.Profiles()
	if profile != "" {
		p, err := release.ParseProfile(profile)
		if err != nil {
			return err
		}
		profiles = []release.Profile{p}
	}
	return operate(ctx, func(o *operator) error {
		return o.reading(ctx, tag, func(assets string) error {
			published, err := steps.ReadMeasurements(assets)
			if err != nil {
				return err
			}
			results, err := o.reproduced(ctx, published, profiles, assets)
			if err != nil {
				return err
			}
			return results.Report(o.console)
		})
	})
}

// clone is a clean one of a release's commit, in a folder that goes with the command.
type clone struct {
	dir, root string
	commit    git.Commit
	published *measurement.Published
}

func (o *operator) reproduced(ctx context.Context, published *measurement.Published, profiles []release.Profile,
	assets string) (check.Results, error) {
	dir, remove, err := file.Temp("reproduce")
	if err != nil {
		return nil, err
	}
	defer remove()
	c := clone{dir: dir, root: filepath.Join(dir, "clone"), published: published}
	c.commit, err = git.Clone(ctx, o.env.Root, published.Commit, c.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fault.Error{Code: fault.General, Message: "the release's commit is not in this clone", Err: err,
			Expected: published.Commit, Hint: "git fetch --unshallow --tags, and try again"}
	}
	if err != nil {
		return nil, err
	}
	o.console.Infof("building %s again from a clean clone of %s", published.Tag, c.commit.Hash)
	if published.Family == release.Node {
		return o.nodesAgain(ctx, c, profiles, assets)
	}
	return o.servicesAgain(ctx, c, profiles)
}

// servicesAgain builds the images of a key service, which are made together.
func (o *operator) servicesAgain(ctx context.Context, c clone, profiles []release.Profile) (check.Results, error) {
	built, err := image.FromSource(ctx, c.root, image.Options{Context: filepath.Join(c.dir, "context"),
		Version: c.published.Tag.Version, Revision: c.commit.Hash, Epoch: c.commit.Time,
		Source: "https://github.com/" + o.env.Config.Repository})
	if err != nil {
		return nil, unbuildable(err)
	}
	var out check.Results
	for _, p := range release.Profiles() {
		if !slices.Contains(profiles, p) {
			continue
		}
		r, err := o.sameImage(ctx, p, c.published.Profiles[p].Image, built[p])
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// unbuildable is another finding than images that differ.
func unbuildable(err error) error {
	return &fault.Error{Code: fault.Verification, Message: "the release's commit does not build", Err: err}
}

// sameImage compares one profile's image with the released one.
func (o *operator) sameImage(ctx context.Context, p release.Profile, released measurement.Image,
	again v1.Image) (check.Result, error) {
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
	return o.compared(p, digest.DigestStr(), differences, ""), nil
}

// compared is the verdict on one image: the same, or what differs, line by line.
func (o *operator) compared(p release.Profile, released string, differences []string, hint string) check.Result {
	title := "image of " + string(p) + " is reproduced"
	if len(differences) == 0 {
		return check.Pass(title).Noting(released)
	}
	for _, line := range differences[:min(len(differences), maxDifferences)] {
		o.console.Infof("%s: %s", p, line)
	}
	if more := len(differences) - maxDifferences; more > 0 {
		o.console.Infof("%s: and %d more", p, more)
	}
	return check.Fail(title, fault.Verification, "another image is built from the commit", released,
		fmt.Sprintf("%d differences: %s", len(differences), strings.Join(differences[:min(3, len(differences))], "; "))).
		WithHint("the commit's go.mod names the version of Go that it is built with; a release of changes that were not " +
			"committed, as a rehearsal may be, is never reproduced" + hint)
}

// maxDifferences is how many are shown of an image; a node image may differ in each of its files.
const maxDifferences = 200
