package gce

import (
	"fmt"
	"slices"

	compute "google.golang.org/api/compute/v1"
)

// planDisks checks the attached disks; it gives, in their order, those that
// exist and those to be made.
func (s *Server) planDisks(resource *compute.Instance) ([]*compute.Disk, error) {
	var all []*compute.Disk
	for i, attached := range resource.Disks {
		disk, err := s.planDisk(resource, i, attached)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(other *compute.Disk) bool { return other.Name == disk.Name }) {
			return nil, exists(pathOf(disk.SelfLink))
		}
		describeAttached(resource, i, attached, disk)
		all = append(all, disk)
	}
	return all, nil
}

func (s *Server) planDisk(resource *compute.Instance, i int, attached *compute.AttachedDisk) (*compute.Disk, error) {
	if attached.Source != "" {
		disk := s.disks[last(attached.Source)]
		if disk == nil {
			return nil, notFound(pathOf(attached.Source))
		}
		if disk.Status != "READY" {
			return nil, notReady(pathOf(attached.Source))
		}
		return disk, s.busy(disk)
	}
	p := attached.InitializeParams
	if p == nil || p.SourceImage == "" && attached.Boot {
		return nil, invalid(fmt.Sprintf("resource.disks[%d].initializeParams.sourceImage", i), "", "Boot disk must have a source specified")
	}
	name := p.DiskName
	if name == "" {
		name = resource.Name
		if i > 0 {
			name = fmt.Sprintf("%s-%d", resource.Name, i)
		}
	}
	disk := &compute.Disk{Name: name, SizeGb: p.DiskSizeGb, Type: p.DiskType, SourceImage: p.SourceImage, Labels: p.Labels}
	return disk, s.describeDisk(disk)
}

func describeAttached(resource *compute.Instance, i int, attached *compute.AttachedDisk, disk *compute.Disk) {
	attached.Kind, attached.Type, attached.Index, attached.Source = "compute#attachedDisk", "PERSISTENT", int64(i), disk.SelfLink
	attached.DiskSizeGb, attached.GuestOsFeatures, attached.Licenses = disk.SizeGb, disk.GuestOsFeatures, disk.Licenses
	attached.Architecture, attached.InitializeParams = disk.Architecture, nil
	if attached.Mode == "" {
		attached.Mode = "READ_WRITE"
	}
	if attached.DeviceName == "" {
		attached.DeviceName = fmt.Sprintf("persistent-disk-%d", i)
	}
	if attached.Interface == "" {
		attached.Interface = map[bool]string{true: "NVME", false: "SCSI"}[series(resource) == "c3"]
	}
}
