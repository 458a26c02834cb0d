package inprocess

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Image is the simulated image of one profile of a node release.
type Image struct {
	Version release.Version
	Profile release.Profile
}

// Machine is one booted node.
type Machine struct {
	TD  *tdxsim.TD
	Log *tdxsim.EventLog
}

// Boot starts a node of the profile, of the first image there is, on the platform.
func Boot(platform *tdxsim.Platform, profile release.Profile) (*Machine, error) {
	return Image{Profile: profile}.Boot(platform)
}

// Boot starts a node from the image on the platform: firmware, boot stub, kernel.
func (i Image) Boot(platform *tdxsim.Platform, options ...tdxsim.TDOption) (*Machine, error) {
	return start(platform, i.boot(), options...)
}

func start(platform *tdxsim.Platform, boot *measuredboot.Boot, options ...tdxsim.TDOption) (*Machine, error) {
	td, log, err := bootchain.C3().Boot(platform, boot.Log(), options...)
	if err != nil {
		return nil, err
	}
	return &Machine{TD: td, Log: log}, nil
}

// TSM is the machine's configfs-tsm, as its agent sees it.
func (m *Machine) TSM() configfsi.Client { return tdxsim.TSM(m.TD, 4) }

const (
	// program is the only one in a simulated image. It is no program: nothing runs it.
	program      = "mero-agent"
	programBytes = "simulated: the agent runs in the rehearsal's own process\n"
	// system is the os-release of simulated images: of Debian's kind, or their packages had no package URL.
	system = "ID=simulated\nID_LIKE=debian\nVERSION_ID=1\n"
	// recorded is the project that records name, whichever the image is imported into.
	recorded = "rehearsal-simulated"
)

// Record is the record of the simulated image, the same whenever it is asked for.
func (i Image) Record(commit string) *image.Record {
	r := i.content()
	r.Commit, r.Boot = commit, *i.boot()
	return r
}

// content is the record without what is read from the disk.
func (i Image) content() *image.Record {
	sum := digest.Of([]byte(programBytes))
	r := &image.Record{
		SchemaVersion: image.SchemaVersion, Profile: i.Profile, Version: i.Version, ContentID: i.contentID(),
		Base: image.Base{Name: "simulated", Project: recorded},
		Packages: []image.Package{{Name: "simulated-base", Version: i.Version.String(), Architecture: "amd64",
			Source: "simulated", SourceVersion: i.Version.String()}},
		Files: []image.File{
			{Path: "/etc/mero-profile", Mode: "0644", Owner: "0:0", SHA256: digest.Of([]byte(i.Profile))},
			{Path: image.Folder + "/" + program, Mode: "0755", Owner: "0:0", SHA256: sum},
		},
		Binaries: []image.Binary{{Name: program, Version: i.Version.String(), SHA256: sum,
			Source: "internal/rehearsal/gce/inprocess"}},
		Tools: image.Tools{Packer: "simulated", GoogleCompute: "simulated", AnsiblePlugin: "simulated",
			Ansible: "simulated"},
	}
	r.Content = digest.Of(r.Manifest())
	r.Image = image.Image{Name: i.Name(), Project: recorded,
		SelfLink: "https://www.googleapis.com/compute/v1/projects/" + recorded + "/global/images/" + i.Name()}
	return r
}

// disk is the image's: its root holds the description of the image and no files.
func (i Image) disk() disktest.Image {
	root, err := canonical.Marshal(i)
	if err != nil {
		panic(err) // two words
	}
	spec := disktest.Spec{Profile: string(i.Profile), Content: i.content().Content.Hex(), Root: root,
		Kernel: []byte("simulated kernel of " + i.Version.String()), OSRelease: []byte(system)}
	if i.Profile == release.Debug {
		spec.Words = []string{"systemd.volatile=overlay"}
	}
	return disktest.Make(spec)
}

// boots remembers what each image's disk boots, which follows from the image
// alone: making a disk takes 0.1 s, and a release asks for it many times.
var boots sync.Map

// boot is what the disk boots; the caller's own.
func (i Image) boot() *measuredboot.Boot {
	known, ok := boots.Load(i)
	if !ok {
		disk := i.disk()
		d, err := measuredboot.Open(disk.Reader(), int64(len(disk)))
		if err != nil {
			panic(err) // the one that makes disks is made for the other
		}
		known, _ = boots.LoadOrStore(i, d.Boot())
	}
	b := *known.(*measuredboot.Boot)
	b.GPT, b.KernelEvents = slices.Clone(b.GPT), slices.Clone(b.KernelEvents)
	b.RTMR1, b.RTMR2 = slices.Clone(b.RTMR1), slices.Clone(b.RTMR2)
	return &b
}

// contentID stands for everything that would decide a built image.
func (i Image) contentID() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "simulated node image of %s %s", i.Version, i.Profile))
	return hex.EncodeToString(sum[:])
}

// Name is the simulated image's name, with its content id.
func (i Image) Name() string {
	name, err := image.Name(i.Profile, i.Version, i.contentID())
	if err != nil {
		panic(err) // the longest version makes a name of 56 characters
	}
	return name
}

// IsSimulated says whether what was published is a simulated image.
func IsSimulated(published *measurement.Published, p release.Profile) bool {
	return published.Profiles[p].Image.Name == Image{Version: published.Tag.Version, Profile: p}.Name()
}

// Labels are those of an image that was built.
func (i Image) Labels() map[string]string { return image.Labels(i.Profile, i.Version, i.contentID()) }

// Import makes the image one of the project.
func (i Image) Import(s *gce.Server, project string, labels map[string]string) error {
	dir, remove, err := file.Temp("image")
	if err != nil {
		return err
	}
	defer remove()
	raw := filepath.Join(dir, "disk.raw")
	if err := i.disk().WriteFile(raw); err != nil {
		return err
	}
	return s.Import(project, &computepb.Image{Name: new(i.Name()), Labels: labels, GuestOsFeatures: Features()}, raw)
}

// Features are those of an image that a confidential VM can boot.
func Features() (all []*computepb.GuestOsFeature) {
	for _, name := range []string{"UEFI_COMPATIBLE", "GVNIC", "TDX_CAPABLE"} {
		all = append(all, &computepb.GuestOsFeature{Type: new(name)})
	}
	return all
}

// Images "makes" simulated images: there is nothing to them but their records.
type Images struct {
	Version release.Version
	Dir     string            // for the program that records speak of
	Import  func(Image) error // into the Compute Engine that boots them
}

var _ image.Images = Images{}

// Content is the content id of the simulated image.
func (s Images) Content(_ context.Context, p release.Profile) (string, error) {
	return Image{Version: s.Version, Profile: p}.contentID(), nil
}

// Build imports the image and returns its record.
func (s Images) Build(_ context.Context, o image.BuildRequest) (*image.Record, error) {
	if err := o.Journal.Begin(journal.Image, o.Name); err != nil {
		return nil, err
	}
	i := Image{Version: s.Version, Profile: o.Profile}
	return i.Record(o.Commit), s.Import(i)
}

// Discard has nothing to delete.
func (Images) Discard(context.Context, image.BuildRequest, bool) error { return nil }

// Programs is a folder with the one program.
func (s Images) Programs(context.Context, release.Profile) (string, error) {
	return s.Dir, file.Write(filepath.Join(s.Dir, program), []byte(programBytes), 0o755)
}

// Drift has no base image to compare.
func (Images) Drift(context.Context) (image.Drift, error) { return image.Drift{}, nil }
