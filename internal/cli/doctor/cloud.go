package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
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
func cloud(ctx context.Context, t *target) check.Results {
	if why := t.withoutCloud(); why != "" {
		return one(check.NotApplicable(permissionsName, why))
	}
	client, err := t.env.Cloud(ctx, nil)
	if t.rehearsed() && err != nil {
		// A rehearsal's own account fits; what may lack is namespaces or programs.
		return one(failed(machineName, err, "run as root, on Linux"))
	}
	if err != nil {
		return one(failed(permissionsName, err, cloudAdvice))
	}
	defer client.Close()
	out := check.Results{check.NotApplicable(machineName, "Google's are used")}
	if t.rehearsed() {
		out[0] = check.Pass(machineName)
	}
	return append(out, permissions(ctx, t, client))
}

// withoutCloud says why Compute Engine is not needed; "" when it is.
func (t *target) withoutCloud() string {
	if t.rehearsed() && !t.releases(release.Node) {
		return "a rehearsed key service is tested with simulated nodes"
	}
	return ""
}

func permissions(ctx context.Context, t *target, client *gce.Client) check.Result {
	wanted := t.permissions()
	missing, err := client.Permissions(ctx, wanted)
	switch {
	case err != nil:
		return failed(permissionsName, err, cloudAdvice)
	case len(missing) > 0:
		return fail(permissionsName, "credentials without "+strings.Join(missing, ", "),
			fmt.Sprintf("all of the %d that a release uses", len(wanted)), fmt.Sprintf("%d are missing", len(missing)),
			t.grant())
	}
	return check.Pass(fmt.Sprintf("%s: all %d in %s", permissionsName, len(wanted), t.env.Config.GCPProject))
}

// permissions are those of a release. The key service's E2E, which boots
// released images, makes none, attaches no disk to make one of, and reboots nothing.
func (t *target) permissions() []string {
	all := gce.ReleasePermissions()
	if t.releases(release.Node) {
		return all
	}
	return slices.DeleteFunc(all, func(s string) bool {
		verb, ofImages := strings.CutPrefix(s, "compute.images.")
		return ofImages && slices.Contains([]string{"create", "delete", "deprecate", "setLabels"}, verb) ||
			slices.Contains([]string{"compute.disks.get", "compute.disks.use", "compute.instances.reset"}, s)
	})
}

func (t *target) grant() string {
	return "gcloud projects add-iam-policy-binding " + t.env.Config.GCPProject +
		" --member=serviceAccount:ACCOUNT --role=roles/compute.instanceAdmin.v1, or a role of your own with these"
}

// BaseImage asks whether the pinned base image of node images exists, as doctor does.
func BaseImage(ctx context.Context, env *environment.Environment) check.Result {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return redact(baseImage(ctx, &target{Whole(release.Node), env}), env.Secrets())[0]
}

// baseImage looks whether the pinned base is there, and what its family has now.
func baseImage(ctx context.Context, t *target) check.Results {
	if !t.releases(release.Node) {
		return one(check.NotApplicable(baseName, "only node images have one"))
	}
	drift, err := t.env.Images.Drift(ctx)
	if err != nil {
		return one(failed(baseName, err, baseAdvice))
	}
	image, err := pinned(ctx, t, drift)
	if err != nil {
		return one(failed(baseName, err, drift.String()))
	}
	return one(judgeBase(image, drift))
}

func pinned(ctx context.Context, t *target, d image.Drift) (*gce.Image, error) {
	client, err := t.env.Cloud(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Image(ctx, d.Project, d.Pinned)
}

func judgeBase(image *gce.Image, drift image.Drift) check.Result {
	title := baseName + ": " + image.Name
	switch {
	case image.Status != "READY":
		return fail(title, "it cannot be used", "READY", image.Status, drift.String())
	case image.State != "" && image.State != "DEPRECATED":
		return fail(title, "its owner has withdrawn it", "in use", image.State, drift.String())
	case !slices.Contains(image.Features, "TDX_CAPABLE"):
		return fail(title, "it boots no TDX VM", "TDX_CAPABLE", strings.Join(image.Features, ", "), baseAdvice)
	case drift.Pinned != drift.Newest:
		return remark(title, "%s", drift)
	}
	return check.Pass(title + ", the newest of its family")
}
