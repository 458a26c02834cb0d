package gce

import (
	"context"
	"os"
	"strconv"
	"strings"

	compute "google.golang.org/api/compute/v1"
)

// describeDisk checks a new disk and fills in what the service says of it.
func (s *Server) describeDisk(disk *compute.Disk) error {
	if err := checkName("resource.name", disk.Name); err != nil {
		return err
	}
	if err := checkLabels(disk.Labels); err != nil {
		return err
	}
	if s.disks[disk.Name] != nil {
		return exists(s.zonal("disks", disk.Name))
	}
	disk.Kind, disk.Id, disk.Status = "compute#disk", newID(), "CREATING"
	disk.CreationTimestamp, disk.Zone, disk.SelfLink = s.stamp(), root+s.scope(), root+s.zonal("disks", disk.Name)
	disk.Type = root + s.zonal("diskTypes", last("/"+disk.Type))
	if last(disk.Type) == "" {
		disk.Type += "pd-standard"
	}
	disk.LabelFingerprint, disk.PhysicalBlockSizeBytes = fingerprint(disk.Labels), 4096
	if disk.SourceImage == "" {
		disk.SizeGb = max(disk.SizeGb, 10)
		return nil
	}
	return s.inherit(disk)
}

// inherit gives a disk what its image has.
func (s *Server) inherit(disk *compute.Disk) error {
	image := s.imageOf(disk.SourceImage)
	if image == nil || image.Status != "READY" {
		return invalid("resource.sourceImage", disk.SourceImage, "The referenced image resource cannot be found.")
	}
	if disk.SizeGb == 0 {
		disk.SizeGb = image.DiskSizeGb
	}
	if disk.SizeGb < image.DiskSizeGb {
		return invalid("resource.sizeGb", strconv.FormatInt(disk.SizeGb, 10), "Requested disk size cannot be smaller than the image size (%d GB)", image.DiskSizeGb)
	}
	disk.SourceImage, disk.SourceImageId = image.SelfLink, numeral(image.Id)
	disk.GuestOsFeatures, disk.Licenses, disk.Architecture = image.GuestOsFeatures, image.Licenses, image.Architecture
	return nil
}

// imageOf finds an image by a link to it or to its family; one without a project is the project's own.
func (s *Server) imageOf(link string) *compute.Image {
	path := pathOf(link)
	if !strings.HasPrefix(path, "projects/") {
		path = "projects/" + s.options.Project + "/" + path
	}
	owner, below, _ := strings.Cut(strings.TrimPrefix(path, "projects/"), "/global/images/")
	if family, ok := strings.CutPrefix(below, "family/"); ok {
		return s.newest(owner, family)
	}
	return s.images[path]
}

func (s *Server) addDisk(disk *compute.Disk) error {
	if err := s.saveDisk(disk); err != nil {
		return err
	}
	s.disks[disk.Name] = disk
	return nil
}

// fill writes what a new disk holds.
func (s *Server) fill(ctx context.Context, disk *compute.Disk) error {
	folder := s.file("disks", disk.Name, "")
	s.mu.Lock()
	image := s.imageOf(disk.SourceImage)
	s.mu.Unlock()
	switch {
	case disk.SourceImage == "":
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
	case image == nil: // deleted meanwhile
		return s.known("RESOURCE_NOT_FOUND", disk.SourceImage)
	default:
		if err := s.options.Hosts.Unpack(ctx, s.imageFile(image, ".tar"), folder); err != nil {
			return err
		}
	}
	return s.locked(func() error {
		disk.Status = "READY"
		return s.saveDisk(disk)
	})
}
