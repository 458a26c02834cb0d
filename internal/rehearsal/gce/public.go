package gce

import (
	_ "embed"
	"encoding/json"
	"os"
	"regexp"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// publicImages are known by name only: nothing boots from them until Import has
// given one of them something to boot.
//
//go:embed public.json
var publicImages []byte

// publicImage is a line of public.json.
type publicImage struct {
	Name   string `json:"name"`
	Family string `json:"family"`
	TDX    bool   `json:"tdx"`
	ARM64  bool   `json:"arm64"`
}

// addPublic puts the images of Google's public projects beside those that the
// folder holds. They are not kept: the next process reads the list again.
func (s *Server) addPublic() error {
	var list struct {
		Note     string                   `json:"note"`
		Projects map[string][]publicImage `json:"projects"`
	}
	if err := json.Unmarshal(publicImages, &list); err != nil {
		return err
	}
	for owner, images := range list.Projects {
		newest := map[string]string{}
		for _, image := range images { // in the order of their dates
			newest[image.Family] = image.Name
		}
		for _, image := range images {
			if path := imagePath(owner, image.Name); s.resources[path] == nil {
				s.resources[path] = image.describe(owner, newest[image.Family])
			}
		}
	}
	return nil
}

var dated = regexp.MustCompile(`-v([0-9]{8})$`)

// describe is what the API says of the image, of whose family newest is the only one that is not deprecated.
func (i publicImage) describe(owner, newest string) *computepb.Image {
	path := imagePath(owner, i.Name)
	out := &computepb.Image{Kind: new("compute#image"), Id: new(fixedID(path)), Name: new(i.Name),
		SelfLink: new(root + path), Status: new("READY"), SourceType: new("RAW"), Architecture: new("X86_64"),
		DiskSizeGb: new(int64(10)), ArchiveSizeBytes: new(int64(1 << 30)), LabelFingerprint: fingerprint(nil),
		CreationTimestamp: new(birthday), StorageLocations: []string{"us"}}
	if date := dated.FindStringSubmatch(i.Name); date != nil {
		day, _ := time.Parse("20060102", date[1]) // a test reads the list
		out.CreationTimestamp = new(day.Format("2006-01-02T15:04:05.000Z07:00"))
	}
	names := []string{"VIRTIO_SCSI_MULTIQUEUE", "UEFI_COMPATIBLE", "GVNIC"}
	if i.TDX {
		names = append(names, "SEV_CAPABLE", "SEV_SNP_CAPABLE", "TDX_CAPABLE")
	}
	for _, name := range names {
		out.GuestOsFeatures = append(out.GuestOsFeatures, &computepb.GuestOsFeature{Type: new(name)})
	}
	if i.ARM64 {
		out.Architecture = new("ARM64")
	}
	if i.Family != "" {
		out.Family = new(i.Family)
	}
	if i.Family != "" && i.Name != newest {
		out.Deprecated = &computepb.DeprecationStatus{State: new("DEPRECATED"),
			Replacement: new(root + imagePath(owner, newest))}
	}
	return out
}

// namedOnly says that there is nothing to boot in an image.
func (s *Server) namedOnly(image *computepb.Image) bool {
	_, isRaw := s.rawOf(image)
	_, err := os.Stat(s.file(image, archive))
	return !isRaw && err != nil
}

// Has says whether a project has an image, be it by name only.
func (s *Server) Has(project, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resources[imagePath(project, name)] != nil
}
