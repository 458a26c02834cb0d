package gce

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

func (s *Server) imageCalls() []call {
	const images = "/global/images"
	const image = images + "/{image}"
	return []call{
		{"images.get", "GET " + image, get(s, s.image)},
		{"images.getFromFamily", "GET " + images + "/family/{family}", s.getImageFromFamily},
		{"images.list", "GET " + images, func(q request) (any, error) {
			return list(q, "imageList", s.imagesOf(q.PathValue("project")))
		}},
		{"images.insert", "POST " + images, s.insertImage},
		{"images.deprecate", "POST " + image + "/deprecate", s.deprecateImage},
		{"images.delete", "DELETE " + image, s.deleteImage},
	}
}

func (s *Server) imagesOf(owner string) []*computepb.Image { return all[*computepb.Image](s, owner) }

// image finds the one that a request names.
func (s *Server) image(q request) (*computepb.Image, error) {
	return find[*computepb.Image](s, imagePath(q.PathValue("project"), q.PathValue("image")))
}

// imageOf finds an image by a link to it or to its family; one without a project is the project's own.
func (s *Server) imageOf(link string) (*computepb.Image, error) {
	path := pathOf(link)
	if !strings.HasPrefix(path, "projects/") {
		path = "projects/" + s.options.Project + "/" + path
	}
	owner, below, _ := strings.Cut(strings.TrimPrefix(path, "projects/"), "/global/images/")
	if family, ok := strings.CutPrefix(below, "family/"); ok {
		return s.newest(owner, family)
	}
	return find[*computepb.Image](s, path)
}

// newest is the family's newest image that is ready and not deprecated.
func (s *Server) newest(owner, family string) (*computepb.Image, error) {
	found := slices.DeleteFunc(s.imagesOf(owner), func(i *computepb.Image) bool {
		current := i.GetDeprecated().GetState() == "" || i.GetDeprecated().GetState() == "ACTIVE"
		return i.GetFamily() != family || i.GetStatus() != "READY" || !current
	})
	if len(found) == 0 {
		return nil, notFound(imagePath(owner, "family/"+family))
	}
	return slices.MaxFunc(found, func(a, b *computepb.Image) int {
		return cmp.Or(created(a).Compare(created(b)), cmp.Compare(a.GetName(), b.GetName()))
	}), nil
}

// created is when an image was made; the zero time when it does not say.
func created(image *computepb.Image) time.Time {
	t, _ := time.Parse(time.RFC3339, image.GetCreationTimestamp())
	return t
}

func (s *Server) getImageFromFamily(q request) (any, error) {
	return s.newest(q.PathValue("project"), q.PathValue("family"))
}

func (s *Server) insertImage(q request) (any, error) {
	image := &computepb.Image{}
	if err := q.decode(image); err != nil {
		return nil, err
	}
	if err := cmp.Or(s.demandCapture(image), s.checkImage(image)); err != nil {
		return nil, err
	}
	disk, err := s.sourceDisk(image, q.URL.Query().Get("forceCreate") == "true")
	if err != nil {
		return nil, err
	}
	s.describeImage(image, disk)
	if err := s.add(image); err != nil {
		return nil, err
	}
	return s.begin(q, image, s.capturing(image, disk)), nil
}

var guestFeatures = []string{"BARE_METAL_LINUX_COMPATIBLE", "BMSAI_CAPABLE", "CCA_CAPABLE", "GVNIC", "IDPF",
	"MULTI_IP_SUBNET", "SECURE_BOOT", "SEV_CAPABLE", "SEV_LIVE_MIGRATABLE", "SEV_LIVE_MIGRATABLE_V2", "SEV_SNP_CAPABLE",
	"SNP_SVSM_CAPABLE", "SUSPEND_SAFE_FPR", "TDX_CAPABLE", "UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "WINDOWS"}

func (s *Server) checkImage(image *computepb.Image) error {
	if err := checkName("resource.name", image.GetName()); err != nil {
		return err
	}
	if image.GetFamily() != "" {
		if err := checkName("resource.family", image.GetFamily()); err != nil {
			return err
		}
	}
	if path := imagePath(s.options.Project, image.GetName()); s.resources[path] != nil {
		return exists(path)
	}
	if err := checkArchitecture(image.Architecture); err != nil {
		return err
	}
	for _, feature := range image.GuestOsFeatures {
		if !slices.Contains(guestFeatures, feature.GetType()) {
			return invalid("resource.guestOsFeatures[].type", feature.GetType(), "No such guest OS feature.")
		}
	}
	return checkLabels(image.Labels)
}

// checkArchitecture refuses what is none of the API's; unspecified is as good as nothing.
func checkArchitecture(name *string) error {
	if name == nil || slices.Contains([]string{unspecified, arm, x86}, *name) {
		return nil
	}
	return invalid("resource.architecture", *name, "Unknown architecture.")
}

// Architectures, by the API's names.
const unspecified, arm, x86 = "ARCHITECTURE_UNSPECIFIED", "ARM64", "X86_64"

// sourceDisk is the disk that an image may be made of.
func (s *Server) sourceDisk(image *computepb.Image, force bool) (*computepb.Disk, error) {
	if image.GetSourceDisk() == "" || image.GetSourceImage()+image.GetSourceSnapshot() != "" || image.RawDisk != nil {
		return nil, refuse(http.StatusBadRequest, "invalid", "Invalid resource usage: "+
			"'Must specify exactly one source for an image.' (The rehearsal makes images of disks only.)")
	}
	path := pathOf(image.GetSourceDisk())
	disk, err := s.diskOf(path)
	if err != nil || !strings.HasSuffix(disk.GetSelfLink(), path) { // a partial link will do
		return nil, notFound(path)
	}
	if disk.GetStatus() != "READY" {
		return nil, notReady(path)
	}
	for _, user := range disk.Users {
		if in, err := s.instanceOf(user); err == nil && in.GetStatus() != "TERMINATED" && !force {
			return nil, inUse("disk", path, pathOf(user))
		}
	}
	return disk, nil
}

// describeImage fills in what the service says of an image; it has the disk's
// features and licences besides its own.
func (s *Server) describeImage(image *computepb.Image, disk *computepb.Disk) {
	image.Kind, image.Id, image.Status = new("compute#image"), new(newID()), new("PENDING")
	image.CreationTimestamp, image.SelfLink = new(s.stamp()), new(root+imagePath(s.options.Project, image.GetName()))
	image.SourceDisk, image.SourceDiskId = disk.SelfLink, new(strconv.FormatUint(disk.GetId(), 10))
	image.SourceType = new("RAW")
	image.DiskSizeGb, image.LabelFingerprint, image.Deprecated = disk.SizeGb, fingerprint(image.Labels), nil
	if name := image.GetArchitecture(); name == "" || name == unspecified {
		image.Architecture = disk.Architecture
	}
	if len(image.StorageLocations) == 0 {
		image.StorageLocations = []string{"us"}
	}
	for _, feature := range disk.GuestOsFeatures {
		if !hasFeature(image.GuestOsFeatures, feature.GetType()) {
			image.GuestOsFeatures = append(image.GuestOsFeatures, feature)
		}
	}
	for _, license := range disk.Licenses {
		if !slices.Contains(image.Licenses, license) {
			image.Licenses = append(image.Licenses, license)
		}
	}
}

func hasFeature(all []*computepb.GuestOsFeature, name string) bool {
	return slices.ContainsFunc(all, func(f *computepb.GuestOsFeature) bool { return f.GetType() == name })
}

// capturing writes the image's file; without it there is no image.
func (s *Server) capturing(image *computepb.Image, disk *computepb.Disk) job {
	do := func(ctx context.Context) error {
		size, err := s.capture(ctx, image, disk)
		if err != nil {
			return err
		}
		return s.locked(func() error {
			image.Status, image.ArchiveSizeBytes = new("READY"), &size
			return s.save(image)
		})
	}
	return job{do: do, undo: func() { _ = s.dropImage(image) }} // the operation's own error says enough
}

// capture writes the image's file and gives its size.
func (s *Server) capture(ctx context.Context, image *computepb.Image, disk *computepb.Disk) (int64, error) {
	if from, ok := s.rawOf(disk); ok {
		err := copyRaw(ctx, s.file(image, raw), from, readOnly)
		return disk.GetSizeGb() * gigabyte, err
	}
	tar := s.file(image, archive)
	if err := s.options.Host.Capture(ctx, s.file(disk, ""), tar); err != nil {
		return 0, err
	}
	info, err := os.Stat(tar)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (s *Server) deprecateImage(q request) (any, error) {
	image, err := s.image(q)
	if err != nil {
		return nil, err
	}
	status := &computepb.DeprecationStatus{}
	if err := q.decode(status); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "ACTIVE", "DEPRECATED", "OBSOLETE", "DELETED"}, status.GetState()) {
		return nil, invalid("resource.state", status.GetState(), "Unknown deprecation state.")
	}
	if status.GetState()+status.GetDeprecated()+status.GetObsolete()+status.GetDeleted() == "" {
		status = nil
	}
	return s.change(q, image, func() error {
		image.Deprecated = status
		return s.save(image)
	}), nil
}

func (s *Server) deleteImage(q request) (any, error) {
	image, err := s.image(q)
	if err != nil {
		return nil, err
	}
	path := pathOf(image.GetSelfLink())
	if image.GetStatus() == "PENDING" {
		return nil, notReady(path)
	}
	for _, disk := range s.disks() {
		if disk.GetStatus() == "CREATING" && disk.GetSourceImage() == image.GetSelfLink() {
			return nil, inUse("image", path, pathOf(disk.GetSelfLink()))
		}
	}
	return s.change(q, image, func() error { return s.dropImage(image) }), nil
}

// dropImage forgets an image. Call it with mu held.
func (s *Server) dropImage(image *computepb.Image) error {
	return errors.Join(remove(s.file(image, archive), s.file(image, raw)), s.drop(image))
}

// Import puts an image into a project as one that was always there. One that is
// there already stays as it is; but one of a public project that is known by name
// only gets what from holds, and the description that says so. A file that ends
// in .raw is the bytes of a disk, any other what the Host unpacks.
func (s *Server) Import(project string, image *computepb.Image, from string) error {
	if !projectForm.MatchString(project) || !nameForm.MatchString(image.GetName()) {
		return errors.New("an image is imported under a project's and an image's name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := imagePath(project, image.GetName())
	known, _ := s.resources[path].(*computepb.Image)
	if known != nil {
		if !s.namedOnly(known) {
			return nil
		}
		known.Description = image.Description
		return s.hold(known, from)
	}
	in := &computepb.Image{CreationTimestamp: new(s.stamp()), Architecture: new(x86), DiskSizeGb: new(int64(10))}
	proto.Merge(in, image)
	in.Kind, in.Id, in.Status, in.SelfLink = new("compute#image"), new(newID()), new("READY"), new(root+path)
	in.LabelFingerprint = fingerprint(in.Labels)
	return s.hold(in, from)
}

// hold keeps an image with its file. Call it with mu held.
func (s *Server) hold(image *computepb.Image, from string) error {
	var size int64
	var err error
	if filepath.Ext(from) == raw {
		size, err = s.holdRaw(image, from)
	} else {
		size, err = place(from, s.file(image, archive))
	}
	if err != nil {
		return err
	}
	image.ArchiveSizeBytes = &size
	return s.add(image)
}

// holdRaw copies a raw file, which is the image's alone, as large as its disk.
func (s *Server) holdRaw(image *computepb.Image, from string) (int64, error) {
	info, err := os.Stat(from)
	if err != nil {
		return 0, err
	}
	image.DiskSizeGb = new((info.Size() + gigabyte - 1) / gigabyte)
	return info.Size(), copyRaw(s.ctx, s.file(image, raw), from, readOnly)
}

// place gives a file a second name, or copies it where a link cannot reach.
func place(from, to string) (int64, error) {
	from, err := filepath.EvalSymlinks(from) // a link to a symbolic link may lead nowhere
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(from)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), remove(to)); err != nil {
		return 0, err
	}
	if os.Link(from, to) == nil {
		return info.Size(), nil
	}
	return info.Size(), file.Copy(to, from, 0o644)
}
