package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	permissionsName = "Google Cloud permissions"
	baseName        = "base image"
	machineName     = "VMs on this machine"

	cloudAdvice = "check GCP_PROJECT_ID and GCP_ZONE, and that Google Cloud is reached"
	baseAdvice  = "packer/base.pkrvars.hcl pins the image and its family"
)

// cloud asks for the permissions, "found by doctor, before the build".
func cloud(ctx context.Context, p *patient) check.Results {
	if why := p.withoutCloud(); why != "" {
		return one(check.NotApplicable(permissionsName, why))
	}
	client, err := p.env.Cloud(ctx, nil)
	if p.rehearsed() && err != nil {
		return one(failed(machineName, err, "run as root, on Linux")) // a rehearsal's own account fits; what may lack is namespaces or programs
	}
	if err != nil {
		return one(failed(permissionsName, err, cloudAdvice))
	}
	defer client.Close() //nolint:errcheck // nothing is buffered
	out := check.Results{check.NotApplicable(machineName, "Google's are used")}
	if p.rehearsed() {
		out[0] = check.Pass(machineName)
	}
	return append(out, permissions(ctx, p, client))
}

// withoutCloud says why Compute Engine is not needed; "" when it is.
func (p *patient) withoutCloud() string {
	if p.rehearsed() && !p.releases(release.Node) {
		return "a rehearsed key service is tested with simulated nodes"
	}
	return ""
}

func permissions(ctx context.Context, p *patient, client *gce.Client) check.Result {
	wanted := p.permissions()
	missing, err := client.Permissions(ctx, wanted)
	switch {
	case err != nil:
		return failed(permissionsName, err, cloudAdvice)
	case len(missing) > 0:
		return check.Fail(permissionsName, fault.Verification, "credentials without "+strings.Join(missing, ", "), "all of the "+fmt.Sprint(len(wanted))+" that a release uses",
			fmt.Sprintf("%d are missing", len(missing))).WithHint(p.grant())
	}
	return check.Pass(fmt.Sprintf("%s: all %d in %s", permissionsName, len(wanted), p.env.Config.GCPProject))
}

// imageMaking is what the key service's E2E, which boots released images, does without.
func imageMaking() []string {
	return []string{"compute.images.create", "compute.images.delete", "compute.images.deprecate", "compute.images.setLabels"}
}

func (p *patient) permissions() []string {
	all := gce.ReleasePermissions()
	if p.releases(release.Node) {
		return all
	}
	return slices.DeleteFunc(all, func(s string) bool { return slices.Contains(imageMaking(), s) })
}

func (p *patient) grant() string {
	return "gcloud projects add-iam-policy-binding " + p.env.Config.GCPProject +
		" --member=serviceAccount:ACCOUNT --role=roles/compute.instanceAdmin.v1, or a role of your own with these"
}

// baseImage looks whether the pinned base is there, and what its family has now.
func baseImage(ctx context.Context, p *patient) check.Results {
	if !p.releases(release.Node) {
		return one(check.NotApplicable(baseName, "only node images have one"))
	}
	drift, err := p.env.Images.Drift(ctx)
	if err != nil {
		return one(failed(baseName, err, baseAdvice))
	}
	image, err := pinned(ctx, p, drift)
	if err != nil {
		return one(failed(baseName, err, drift.String()))
	}
	return one(judgeBase(image, drift))
}

func pinned(ctx context.Context, p *patient, d image.Drift) (*gce.Image, error) {
	client, err := p.env.Cloud(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer client.Close() //nolint:errcheck // nothing is buffered
	return client.Image(ctx, d.Project, d.Pinned)
}

func judgeBase(image *gce.Image, drift image.Drift) check.Result {
	title := baseName + ": " + image.Name
	switch {
	case image.Status != "READY":
		return check.Fail(title, fault.Verification, "it cannot be used", "READY", image.Status).WithHint(drift.String())
	case image.State != "" && image.State != "DEPRECATED":
		return check.Fail(title, fault.Verification, "its owner has withdrawn it", "in use", image.State).WithHint(drift.String())
	case !slices.Contains(image.Features, "TDX_CAPABLE"):
		return check.Fail(title, fault.Verification, "it boots no TDX VM", "TDX_CAPABLE", strings.Join(image.Features, ", ")).WithHint(baseAdvice)
	case drift.Pinned != drift.Newest:
		return remark(title, "%s", drift)
	}
	return check.Pass(title + ", the newest of its family")
}
