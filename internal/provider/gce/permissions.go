package gce

import (
	"context"
	"slices"

	"google.golang.org/api/cloudresourcemanager/v1"
)

// Permissions says which of the wanted permissions the account lacks in the
// project. It asks the Resource Manager: Compute Engine answers for resources
// that exist, and an image that is yet to be created has no such answer.
func (c *Client) Permissions(ctx context.Context, wanted []string) (missing []string, err error) {
	var granted *cloudresourcemanager.TestIamPermissionsResponse
	err = c.call(ctx, "asking for permissions in "+c.project, func(ctx context.Context) (err error) {
		granted, err = c.projects.TestIamPermissions(c.project,
			&cloudresourcemanager.TestIamPermissionsRequest{Permissions: wanted}).Context(ctx).Do()
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, p := range wanted {
		if !slices.Contains(granted.Permissions, p) {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

// ReleasePermissions lists what a release of the node images needs in its own
// project: what is called here, and what Packer calls to build. The images of a
// public project are everybody's.
func ReleasePermissions() []string {
	return []string{
		"compute.disks.create",
		"compute.disks.delete",
		"compute.disks.get",
		"compute.disks.list",
		"compute.disks.setLabels",
		"compute.disks.use",
		"compute.disks.useReadOnly",
		"compute.globalOperations.get",
		"compute.images.create",
		"compute.images.delete",
		"compute.images.deprecate",
		"compute.images.get",
		"compute.images.list",
		"compute.images.setLabels",
		"compute.images.useReadOnly",
		"compute.instances.create",
		"compute.instances.delete",
		"compute.instances.get",
		"compute.instances.getGuestAttributes",
		"compute.instances.getSerialPortOutput",
		"compute.instances.list",
		"compute.instances.reset",
		"compute.instances.setLabels",
		"compute.instances.setMetadata",
		"compute.machineTypes.get",
		"compute.projects.get",
		"compute.subnetworks.use",
		"compute.subnetworks.useExternalIp",
		"compute.zoneOperations.get",
		"compute.zones.get",
	}
}
