package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// program is the only one in a simulated image. It is no program: nothing runs it.
const program = "mero-agent"

func programBytes() []byte {
	return []byte("simulated: the agent runs in the rehearsal's own process\n")
}

// project is where simulated images would be.
const project = "rehearsal-simulated"

// Record is the record of the simulated image, the same whenever it is asked for.
func (i Image) Record(commit string) *image.Record {
	sum := digest.Of(programBytes())
	r := &image.Record{
		SchemaVersion: image.SchemaVersion, Profile: i.Profile, Version: i.Version, Commit: commit, ContentID: i.contentID(),
		Base:     image.Base{Name: "simulated", Project: project},
		Packages: []image.Package{{Name: "simulated-base", Version: i.Version.String(), Architecture: "amd64"}},
		Files: []image.File{
			{Path: "/etc/mero-profile", Mode: "0644", Owner: "0:0", SHA256: digest.Of([]byte(i.Profile))},
			{Path: image.Folder + "/" + program, Mode: "0755", Owner: "0:0", SHA256: sum},
		},
		Binaries: []image.Binary{{Name: program, Version: i.Version.String(), SHA256: sum, Source: "internal/rehearsal/node"}},
		Tools:    image.Tools{Packer: "simulated", GoogleCompute: "simulated", AnsiblePlugin: "simulated", Ansible: "simulated"},
	}
	r.Content = digest.Of(r.Manifest())
	r.Image = image.Image{Name: i.Name(), Project: project,
		SelfLink: "https://www.googleapis.com/compute/v1/projects/" + project + "/global/images/" + i.Name()}
	r.KernelCommandLine = fmt.Sprintf("root=LABEL=simulated mero.profile=%s mero.content=%x", i.Profile, r.Content[:])
	if image.ReadOnly(i.Profile) {
		r.RootHash = sha256.Sum256(fmt.Appendf(nil, "simulated root file system of %s %s", i.Version, i.Profile))
		r.KernelCommandLine += fmt.Sprintf(" mero.rootfs=squashfs mero.roothash=%x mero.hashoffset=4096", r.RootHash[:])
	}
	return r
}

func (i Image) commandLine() string { return i.Record("").KernelCommandLine }

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
