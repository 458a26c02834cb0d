package gce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"cloud.google.com/go/compute/apiv1/computepb"
)

func (s *Server) diskCalls() []call {
	const disks = "/zones/{zone}/disks"
	return []call{
		{"disks.get", "GET " + disks + "/{disk}", get(s, s.disk)},
		{"disks.aggregatedList", "GET /aggregated/disks", func(q request) (any, error) {
			return aggregate(q, "diskAggregatedList", "zones/"+s.options.Zone, "disks", s.disks())
		}},
		{"disks.insert", "POST " + disks, s.insertDisk},
		{"disks.delete", "DELETE " + disks + "/{disk}", s.deleteDisk},
	}
}

func (s *Server) disks() []*computepb.Disk { return all[*computepb.Disk](s, s.options.Project) }

// disk finds the one that a request names.
func (s *Server) disk(q request) (*computepb.Disk, error) { return s.diskOf(q.PathValue("disk")) }

// diskOf finds a disk by its name or a link to it.
func (s *Server) diskOf(link string) (*computepb.Disk, error) {
	return find[*computepb.Disk](s, s.zonal("disks", last(link)))
}

func (s *Server) insertDisk(q request) (any, error) {
	disk := &computepb.Disk{}
	if err := q.decode(disk); err != nil {
		return nil, err
	}
	if from := q.URL.Query().Get("sourceImage"); from != "" {
		disk.SourceImage = &from
	}
	disk.Users = nil
	if err := s.demandDisk(disk.GetName(), disk.GetSourceImage(), disk.Labels); err != nil {
		return nil, err
	}
	if err := s.describeDisk(disk, "resource.sourceImage"); err != nil {
		return nil, err
	}
	if err := s.add(disk); err != nil {
		return nil, err
	}
	return s.begin(q, disk, job{
		do:   func(ctx context.Context) error { return s.fill(ctx, disk) },
		undo: func() { _ = s.dropDisk(disk) },
	}), nil
}

// describeDisk checks a new disk and fills in what the service says of it.
// In an instance, its image is named by the field of that.
func (s *Server) describeDisk(disk *computepb.Disk, imageField string) error {
	if err := checkName("resource.name", disk.GetName()); err != nil {
		return err
	}
	if err := cmp.Or(checkLabels(disk.GetLabels()), checkArchitecture(disk.Architecture)); err != nil {
		return err
	}
	path := s.zonal("disks", disk.GetName())
	if s.resources[path] != nil {
		return exists(path)
	}
	disk.Kind, disk.Id, disk.Status = new("compute#disk"), new(newID()), new("CREATING")
	disk.CreationTimestamp, disk.Zone, disk.SelfLink = new(s.stamp()), new(root+s.scope()), new(root+path)
	kind := cmp.Or(last(disk.GetType()), defaultDisk)
	if !slices.Contains(diskTypes, kind) {
		return invalid("resource.type", disk.GetType(), "The referenced diskType resource cannot be found.")
	}
	disk.Type = new(root + s.zonal("diskTypes", kind))
	disk.LabelFingerprint, disk.PhysicalBlockSizeBytes = fingerprint(disk.Labels), new(int64(4096))
	if disk.GetSourceImage() != "" {
		if err := s.inherit(disk, imageField); err != nil {
			return err
		}
	}
	return checkSize(disk)
}

// smallest are the sizes, in GB, below which a type of disk is not made; 1 of those that are not here.
var smallest = map[string]int64{"hyperdisk-balanced": 4, "hyperdisk-balanced-high-availability": 4,
	"hyperdisk-extreme": 64, "hyperdisk-ml": 4, "hyperdisk-throughput": 2048}

const largest = 64 << 10 // GB, of every type

func checkSize(disk *computepb.Disk) error {
	kind, size := last(disk.GetType()), disk.GetSizeGb()
	switch least := smallest[kind]; {
	case disk.SizeGb == nil:
		return invalid("resource.sizeGb", "", "A blank disk must say its size; the rehearsal has no default.")
	case size <= 0:
		return invalid("resource.sizeGb", strconv.FormatInt(size, 10), "Must be greater than 0.")
	case size < least:
		return refuse(http.StatusBadRequest, "badRequest", "Disk size cannot be smaller than %d GB for disk type %s.",
			least, kind)
	case size > largest:
		return refuse(http.StatusBadRequest, "badRequest", "Disk size cannot be larger than %d GB for disk type %s.",
			largest, kind)
	}
	return nil
}

// defaultDisk is what a disk is when nobody says what it is to be.
const defaultDisk = "pd-standard"

var diskTypes = []string{"hyperdisk-balanced", "hyperdisk-balanced-high-availability", "hyperdisk-extreme",
	"hyperdisk-ml", "hyperdisk-throughput", "pd-balanced", "pd-extreme", "pd-ssd", "pd-standard"}

// bootDisks are the types that a series of machines boots from.
var bootDisks = map[string][]string{
	"c3":  {"hyperdisk-balanced", "hyperdisk-balanced-high-availability", "hyperdisk-extreme", "pd-balanced", "pd-ssd"},
	"e2":  {"pd-balanced", "pd-ssd", "pd-standard"},
	"n2":  {"hyperdisk-extreme", "pd-balanced", "pd-extreme", "pd-ssd", "pd-standard"},
	"n2d": {"pd-balanced", "pd-ssd", "pd-standard"},
}

// dataDisks are the types that a series takes besides those that it boots from.
var dataDisks = map[string][]string{
	"c3":  {"hyperdisk-ml", "hyperdisk-throughput"},
	"n2":  {"hyperdisk-balanced", "hyperdisk-ml", "hyperdisk-throughput"},
	"n2d": {"hyperdisk-throughput"},
}

// checkTaken refuses a disk that the instance's machine type has no use for.
func checkTaken(in *computepb.Instance, i int, disk *computepb.Disk) error {
	if kind := in.Disks[i].GetInterface(); series(in) == "c3" && kind != "" && kind != "NVME" {
		return invalid(diskField(i, "interface"), kind, "C3 machines attach disks by NVMe alone.")
	}
	kind, taken := last(disk.GetType()), bootDisks[series(in)]
	if i > 0 {
		taken = slices.Concat(taken, dataDisks[series(in)])
	}
	if !slices.Contains(taken, kind) {
		return refuse(http.StatusBadRequest, "badRequest", "%s disk type cannot be used by %s machine type.", kind,
			last(in.GetMachineType()))
	}
	return nil
}

// inherit gives a disk what its image has.
func (s *Server) inherit(disk *computepb.Disk, field string) error {
	image, err := s.imageOf(disk.GetSourceImage())
	if err != nil || image.GetStatus() != "READY" {
		return invalid(field, disk.GetSourceImage(), "The referenced image resource cannot be found.")
	}
	if disk.GetSizeGb() == 0 {
		disk.SizeGb = new(image.GetDiskSizeGb())
	}
	if disk.GetSizeGb() < image.GetDiskSizeGb() {
		return invalid("resource.sizeGb", strconv.FormatInt(disk.GetSizeGb(), 10),
			"Requested disk size cannot be smaller than the image size (%d GB)", image.GetDiskSizeGb())
	}
	disk.SourceImage, disk.SourceImageId = image.SelfLink, new(strconv.FormatUint(image.GetId(), 10))
	disk.GuestOsFeatures, disk.Licenses, disk.Architecture = image.GuestOsFeatures, image.Licenses, image.Architecture
	return nil
}

// fill writes what a new disk holds.
func (s *Server) fill(ctx context.Context, disk *computepb.Disk) error {
	if err := s.write(ctx, disk); err != nil {
		return err
	}
	return s.locked(func() error {
		disk.Status = new("READY")
		return s.save(disk)
	})
}

func (s *Server) write(ctx context.Context, disk *computepb.Disk) error {
	if disk.GetSourceImage() == "" {
		return blank(s.file(disk, raw), disk.GetSizeGb()*gigabyte)
	}
	s.mu.Lock()
	image, err := s.imageOf(disk.GetSourceImage())
	s.mu.Unlock()
	if err != nil { // deleted meanwhile
		return s.failure("RESOURCE_NOT_FOUND", disk.GetSourceImage())
	}
	if from, ok := s.rawOf(image); ok {
		return share(ctx, s.file(disk, raw), from)
	}
	if s.namedOnly(image) {
		return fmt.Errorf("the rehearsal knows image %s by name only", image.GetName())
	}
	return s.options.Host.Unpack(ctx, s.file(image, archive), s.file(disk, ""))
}

func (s *Server) deleteDisk(q request) (any, error) {
	disk, err := s.disk(q)
	if err == nil {
		err = s.busy(disk)
	}
	if err != nil {
		return nil, err
	}
	return s.begin(q, disk, job{do: func(context.Context) error {
		if err := s.locked(func() error { return s.deletable(disk) }); err != nil {
			return err
		}
		if err := s.erase(disk); err != nil {
			return err
		}
		return s.locked(func() error { return s.dropDisk(disk) })
	}}), nil
}

// deletable checks again what may have changed since the call.
func (s *Server) deletable(disk *computepb.Disk) error {
	if err := s.present(disk); err != nil {
		return err
	}
	if s.busy(disk) != nil {
		return s.failure("RESOURCE_NOT_READY", disk.GetSelfLink())
	}
	return nil
}

// erase deletes what the disk holds, which takes time, without mu. From then on
// it is good for deletion only.
func (s *Server) erase(disk *computepb.Disk) error {
	if err := s.locked(func() error {
		disk.Status = new("DELETING")
		return s.save(disk)
	}); err != nil {
		return err
	}
	return s.empty(disk)
}

// empty deletes what the disk holds, be it a folder or a file.
func (s *Server) empty(disk *computepb.Disk) error {
	return errors.Join(s.wipe(s.file(disk, "")), remove(s.file(disk, raw)))
}

// busy says who needs the disk: an instance, or an image that is being made of it.
func (s *Server) busy(disk *computepb.Disk) error {
	path := pathOf(disk.GetSelfLink())
	if len(disk.Users) > 0 {
		return inUse("disk", path, pathOf(disk.Users[0]))
	}
	if disk.GetStatus() == "CREATING" {
		return notReady(path)
	}
	for _, image := range s.imagesOf(s.options.Project) {
		if image.GetStatus() == "PENDING" && image.GetSourceDisk() == disk.GetSelfLink() {
			return inUse("disk", path, pathOf(image.GetSelfLink()))
		}
	}
	return nil
}

// dropDisk forgets a disk. Call it with mu held.
func (s *Server) dropDisk(disk *computepb.Disk) error {
	if err := s.empty(disk); err != nil {
		return err
	}
	return s.drop(disk)
}
