package gce

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// deviceForm is that of what udev makes a link of; Google does not say what it takes.
var deviceForm = regexp.MustCompile(`^[a-z0-9][-_a-z0-9]{0,62}$`)

// smallestMade is the size in GB of a disk that is made with its instance and says a size.
const smallestMade = 10

func diskField(i int, name string) string { return fmt.Sprintf("resource.disks[%d].%s", i, name) }

// checkAttached refuses disks that no instance can have, whatever they hold.
func checkAttached(in *computepb.Instance) error {
	if len(in.Disks) == 0 || !in.Disks[0].GetBoot() {
		return invalid("resource.disks", "", "The first disk must be the boot disk.")
	}
	names := map[string]bool{}
	for i, disk := range in.Disks {
		name := cmp.Or(disk.GetDeviceName(), "persistent-disk-"+strconv.Itoa(i))
		disk.DeviceName = &name
		switch {
		case i > 0 && disk.GetBoot():
			return invalid(diskField(i, "boot"), "true", "Only one boot disk is allowed.")
		case !deviceForm.MatchString(name):
			return invalid(diskField(i, "deviceName"), name, "The rehearsal takes a-z, 0-9, - and _.")
		case names[name]:
			return invalid(diskField(i, "deviceName"), name, "The device name is already used.")
		case cmp.Or(disk.GetType(), "PERSISTENT") != "PERSISTENT":
			return invalid(diskField(i, "type"), disk.GetType(), "The rehearsal has persistent disks alone.")
		case cmp.Or(disk.GetMode(), "READ_WRITE") != "READ_WRITE":
			return invalid(diskField(i, "mode"), disk.GetMode(), "The rehearsal attaches disks for reading and writing.")
		}
		names[name] = true
	}
	return nil
}

// planDisks are the instance's disks, which exist or are to be made.
func (s *Server) planDisks(in *computepb.Instance) (disks []*computepb.Disk, err error) {
	for i, attached := range in.Disks {
		var disk *computepb.Disk
		if attached.GetSource() != "" {
			disk, err = s.existing(i, attached)
		} else {
			disk, err = s.planned(in, i)
		}
		if err == nil {
			err = checkTaken(in, i, disk)
		}
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(disks, func(d *computepb.Disk) bool { return d.GetSelfLink() == disk.GetSelfLink() }) {
			return nil, invalid(diskField(i, "source"), attached.GetSource(), "The disk is attached twice.")
		}
		disks = append(disks, disk)
	}
	return disks, nil
}

// existing is a disk that was made before.
func (s *Server) existing(i int, attached *computepb.AttachedDisk) (*computepb.Disk, error) {
	source := attached.GetSource()
	disk, err := s.diskOf(source)
	if err != nil {
		return nil, notFound(pathOf(source))
	}
	if attached.InitializeParams != nil {
		return nil, invalid(diskField(i, "source"), source, "Only one of source and initializeParams is allowed.")
	}
	if disk.GetStatus() != "READY" {
		return nil, notReady(pathOf(source))
	}
	if _, ok := s.rawOf(disk); i > 0 && !ok {
		return nil, invalid(diskField(i, "source"), source, "The rehearsal has no device for a disk of a public image.")
	}
	return disk, s.busy(disk)
}

// planned is a disk that is made with its instance.
func (s *Server) planned(in *computepb.Instance, i int) (*computepb.Disk, error) {
	p := in.Disks[i].GetInitializeParams()
	from := diskField(i, "initializeParams.sourceImage")
	if p.GetSourceImage() == "" && i == 0 {
		return nil, invalid(from, "", "Boot disk must have a source specified")
	}
	if image, err := s.imageOf(p.GetSourceImage()); err == nil && i > 0 {
		if _, ok := s.rawOf(image); !ok {
			return nil, invalid(from, p.GetSourceImage(), "The rehearsal has no device for a disk of a public image.")
		}
	}
	disk := &computepb.Disk{Name: new(diskName(in, i)), SizeGb: p.DiskSizeGb, Type: p.DiskType,
		SourceImage: p.SourceImage, Labels: p.Labels}
	if err := s.describeDisk(disk, from); err != nil {
		return nil, err
	}
	if p.DiskSizeGb != nil && p.GetDiskSizeGb() < smallestMade {
		return nil, invalid(diskField(i, "initializeParams.diskSizeGb"), strconv.FormatInt(p.GetDiskSizeGb(), 10),
			"Must be at least %d.", smallestMade)
	}
	return disk, nil
}

// diskName is what a disk that is made with an instance is called.
func diskName(in *computepb.Instance, i int) string {
	name := in.GetName()
	if i > 0 {
		name += "-" + strconv.Itoa(i)
	}
	return cmp.Or(in.Disks[i].GetInitializeParams().GetDiskName(), name)
}

func describeAttached(attached *computepb.AttachedDisk, i int, disk *computepb.Disk) {
	attached.Kind, attached.Type = new("compute#attachedDisk"), new("PERSISTENT")
	attached.Index = new(int32(i)) //nolint:gosec // a few
	attached.Boot, attached.AutoDelete = new(attached.GetBoot()), new(attached.GetAutoDelete())
	attached.Source, attached.InitializeParams = disk.SelfLink, nil
	attached.DiskSizeGb, attached.GuestOsFeatures, attached.Licenses = disk.SizeGb, disk.GuestOsFeatures, disk.Licenses
	attached.Architecture, attached.Mode = disk.Architecture, new("READ_WRITE")
}

// devices are the raw files of all disks but the boot disk, by device name. Each
// becomes its disk's own, for the machine may write to it. Call it without mu.
func (s *Server) devices(ctx context.Context, in *instance) (map[string]string, error) {
	out := map[string]string{}
	for _, attached := range in.Disks[1:] {
		s.mu.Lock()
		disk, err := s.diskOf(attached.GetSource())
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		path := s.file(disk, raw)
		if err := own(ctx, path); err != nil {
			return nil, err
		}
		out[attached.GetDeviceName()] = path
	}
	return out, nil
}
