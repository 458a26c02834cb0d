package gce

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"

	compute "google.golang.org/api/compute/v1"
)

func (s *Server) insertImage(q request) (any, error) {
	image := &compute.Image{}
	if err := q.decode(image); err != nil {
		return nil, err
	}
	if err := s.checkImage(image); err != nil {
		return nil, err
	}
	disk, err := s.sourceDisk(image, q.URL.Query().Get("forceCreate") == "true")
	if err != nil {
		return nil, err
	}
	s.describeImage(image, disk)
	path := pathOf(image.SelfLink)
	if err := s.saveImage(image); err != nil {
		return nil, err
	}
	s.images[path] = image
	return s.begin(q, path, image.Id, s.capturing(image, disk)).resource, nil
}

func (s *Server) checkImage(image *compute.Image) error {
	if err := checkName("resource.name", image.Name); err != nil {
		return err
	}
	if image.Family != "" {
		if err := checkName("resource.family", image.Family); err != nil {
			return err
		}
	}
	if path := imagePath(s.options.Project, image.Name); s.images[path] != nil {
		return exists(path)
	}
	for _, feature := range image.GuestOsFeatures {
		if !slices.Contains(guestFeatures, feature.Type) {
			return invalid("resource.guestOsFeatures[].type", feature.Type, "No such guest OS feature.")
		}
	}
	return checkLabels(image.Labels)
}

var guestFeatures = []string{"BARE_METAL_LINUX_COMPATIBLE", "BMSAI_CAPABLE", "CCA_CAPABLE", "GVNIC", "IDPF", "MULTI_IP_SUBNET", "SECURE_BOOT",
	"SEV_CAPABLE", "SEV_LIVE_MIGRATABLE", "SEV_LIVE_MIGRATABLE_V2", "SEV_SNP_CAPABLE", "SNP_SVSM_CAPABLE", "SUSPEND_SAFE_FPR", "TDX_CAPABLE",
	"UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "WINDOWS"}

// sourceDisk is the disk that an image may be made of.
func (s *Server) sourceDisk(image *compute.Image, force bool) (*compute.Disk, error) {
	if image.SourceDisk == "" || image.SourceImage != "" || image.SourceSnapshot != "" || image.RawDisk != nil {
		return nil, refuse(http.StatusBadRequest, "invalid", "Invalid resource usage: 'Must specify exactly one source for an image.' (The rehearsal makes images of disks only.)")
	}
	path := pathOf(image.SourceDisk)
	disk := s.disks[last(path)]
	if disk == nil || !strings.HasSuffix(s.zonal("disks", disk.Name), path) { // a partial link will do
		return nil, notFound(path)
	}
	if disk.Status != "READY" {
		return nil, notReady(path)
	}
	for _, user := range disk.Users {
		if in := s.instances[last(user)]; in != nil && in.resource.Status != "TERMINATED" && !force {
			return nil, inUse("disk", path, pathOf(user))
		}
	}
	return disk, nil
}

// describeImage fills in what the service says of an image; it has the disk's
// features and licences besides its own.
func (s *Server) describeImage(image *compute.Image, disk *compute.Disk) {
	image.Kind, image.Id, image.Status = "compute#image", newID(), "PENDING"
	image.CreationTimestamp, image.SelfLink = s.stamp(), root+imagePath(s.options.Project, image.Name)
	image.SourceDisk, image.SourceDiskId, image.SourceType = disk.SelfLink, numeral(disk.Id), "RAW"
	image.DiskSizeGb, image.LabelFingerprint, image.Deprecated = disk.SizeGb, fingerprint(image.Labels), nil
	if image.Architecture == "" {
		image.Architecture = disk.Architecture
	}
	if len(image.StorageLocations) == 0 {
		image.StorageLocations = []string{"us"}
	}
	for _, feature := range disk.GuestOsFeatures {
		if !hasFeature(image.GuestOsFeatures, feature.Type) {
			image.GuestOsFeatures = append(image.GuestOsFeatures, feature)
		}
	}
	for _, license := range disk.Licenses {
		if !slices.Contains(image.Licenses, license) {
			image.Licenses = append(image.Licenses, license)
		}
	}
}

func hasFeature(all []*compute.GuestOsFeature, name string) bool {
	return slices.ContainsFunc(all, func(f *compute.GuestOsFeature) bool { return f.Type == name })
}

// capturing writes the image's file; without it there is no image.
func (s *Server) capturing(image *compute.Image, disk *compute.Disk) job {
	tar := s.imageFile(image, ".tar")
	do := func(ctx context.Context) error {
		if err := s.options.Hosts.Capture(ctx, s.file("disks", disk.Name, ""), tar); err != nil {
			return err
		}
		info, err := os.Stat(tar)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		image.Status, image.ArchiveSizeBytes = "READY", info.Size()
		return s.saveImage(image)
	}
	return job{do: do, undo: func() { _ = s.dropImage(image) }} // the operation's own error says enough
}
