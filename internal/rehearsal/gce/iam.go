package gce

import (
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// The project's only account has one role (Options.Role). Each call is checked
// for each permission that it needs, on the resource that needs it. In other
// projects the account has none; but everybody may read and use what a public
// project's images are.

// permissions are those that a call needs, where that is not the one of its own
// name; nil where its handler asks, because they depend on the request.
var permissions = map[string][]string{
	"disks.aggregatedList":        {"compute.disks.list"},
	"disks.insert":                nil,
	"images.insert":               nil,
	"instances.aggregatedList":    {"compute.instances.list"},
	"instances.insert":            nil,
	"projects.testIamPermissions": nil,
}

func (c call) permissions() []string {
	if needed, ok := permissions[c.name]; ok {
		return needed
	}
	return []string{"compute." + c.name}
}

// target is the resource of which the permission for a call is asked.
func (q request) target() string {
	path := pathOf(q.URL.Path)
	if strings.HasSuffix(strings.ToLower(q.call.name), "list") {
		return "projects/" + project(path)
	}
	for _, verb := range []string{"/deprecate", "/getGuestAttributes", "/reset", "/serialPort", "/setMetadata", "/start",
		"/stop"} {
		path = strings.TrimSuffix(path, verb)
	}
	return path
}

// may says whether the account has a permission in the project.
func (s *Server) may(permission string) bool {
	return slices.Contains(s.options.Role, permission) && !s.faults.denies(permission)
}

// demand refuses, in Google's words, when the account lacks one of the permissions on a resource.
func (s *Server) demand(path string, permissions ...string) error {
	for _, permission := range permissions {
		if project(path) != s.options.Project || !s.may(permission) {
			return refuse(http.StatusForbidden, "forbidden", "Required '%s' permission for '%s'", permission, path)
		}
	}
	return nil
}

// demandImage is asked of whoever makes a disk of an image; public images are everybody's.
func (s *Server) demandImage(link string) error {
	image, err := s.imageOf(link)
	if err != nil || project(pathOf(image.GetSelfLink())) != s.options.Project {
		return nil //nolint:nilerr // who checks the disk says that there is no such image
	}
	return s.demand(pathOf(image.GetSelfLink()), "compute.images.useReadOnly")
}

// demandDisk is asked of whoever makes a disk.
func (s *Server) demandDisk(name, image string, labels map[string]string) error {
	path := s.zonal("disks", name)
	if err := s.demand(path, "compute.disks.create"); err != nil {
		return err
	}
	if len(labels) > 0 {
		if err := s.demand(path, "compute.disks.setLabels"); err != nil {
			return err
		}
	}
	if image == "" {
		return nil
	}
	return s.demandImage(image)
}

// demandInstance is asked of whoever makes an instance, for all that the request has.
func (s *Server) demandInstance(in *computepb.Instance) error {
	wanted := []string{"compute.instances.create"}
	for permission, has := range map[string]bool{
		"compute.instances.setLabels":   len(in.Labels) > 0,
		"compute.instances.setMetadata": len(in.GetMetadata().GetItems()) > 0,
		"compute.instances.setTags":     len(in.GetTags().GetItems()) > 0,
		"compute.instances.setServiceAccount": slices.ContainsFunc(in.ServiceAccounts,
			func(a *computepb.ServiceAccount) bool { return a.GetEmail() != "" }),
	} {
		if has {
			wanted = append(wanted, permission)
		}
	}
	slices.Sort(wanted)
	if err := s.demand(s.zonal("instances", in.GetName()), wanted...); err != nil {
		return err
	}
	for i := range in.Disks {
		if err := s.demandAttached(in, i); err != nil {
			return err
		}
	}
	return s.demandNetworks(in)
}

func (s *Server) demandAttached(in *computepb.Instance, i int) error {
	disk := in.Disks[i]
	if source := disk.GetSource(); source != "" {
		return s.demand(s.zonal("disks", last(source)), "compute.disks.use")
	}
	return s.demandDisk(diskName(in, i), disk.GetInitializeParams().GetSourceImage(),
		disk.GetInitializeParams().GetLabels())
}

func (s *Server) demandNetworks(in *computepb.Instance) error {
	subnetwork := "projects/" + s.options.Project + "/regions/" + s.region() + "/subnetworks/default"
	for _, nic := range in.NetworkInterfaces {
		wanted := []string{"compute.subnetworks.use"}
		if len(nic.AccessConfigs) > 0 {
			wanted = append(wanted, "compute.subnetworks.useExternalIp")
		}
		if err := s.demand(subnetwork, wanted...); err != nil {
			return err
		}
	}
	return nil
}

// demandCapture is asked of whoever makes an image of a disk.
func (s *Server) demandCapture(image *computepb.Image) error {
	path := imagePath(s.options.Project, image.GetName())
	wanted := []string{"compute.images.create"}
	if len(image.Labels) > 0 {
		wanted = append(wanted, "compute.images.setLabels")
	}
	if err := s.demand(path, wanted...); err != nil || image.GetSourceDisk() == "" {
		return err
	}
	return s.demand(s.zonal("disks", last(image.GetSourceDisk())), "compute.disks.useReadOnly")
}
