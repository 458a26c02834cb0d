// Package node is the rehearsal's node images: for each release and profile,
// what a GCP TDX VM booted from the image would measure, in a simulated TD.
//
// Its promise: MRTD and RTMR0 are the platform's and equal in all images,
// RTMR1 and RTMR2 are the release's, RTMR2 differs by profile, and RTMR3 stays
// zero until an agent, running production's own code over the TD's
// configfs-tsm, extends it.
package node

import (
	"fmt"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

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

// Boot starts a node from the image on the platform: firmware, loader, kernel.
func (i Image) Boot(platform *tdxsim.Platform, options ...tdxsim.TDOption) (*Machine, error) {
	td, log, err := bootchain.Events{
		bootchain.Shape(),
		{RTMR: 1, Text: fmt.Sprintf("rehearsal shim and loader of %s", i.Version)},
		{RTMR: 2, Text: fmt.Sprintf("rehearsal kernel and initrd of %s", i.Version)},
		{RTMR: 2, Text: "kernel_cmdline: " + i.commandLine()},
	}.Boot(platform, options...)
	if err != nil {
		return nil, err
	}
	return &Machine{TD: td, Log: log}, nil
}

// TSM is the machine's configfs-tsm, as its agent sees it.
func (m *Machine) TSM() configfsi.Client { return tdxsim.TSM(m.TD, 4) }
