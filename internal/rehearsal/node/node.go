// Package node is the rehearsal's node images: for each profile, what a GCP
// TDX VM booted from the image would measure, in a simulated TD.
//
// Its promise: MRTD, RTMR0 and RTMR1 are the platform's and equal in all
// profiles, RTMR2 differs by profile, and RTMR3 stays zero until an agent,
// running production's own code over the TD's configfs-tsm, extends it.
package node

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

// evIPL is EV_IPL, the event type with which shim and GRUB measure what they load.
const evIPL = 0x0000000d

// Machine is one booted node.
type Machine struct {
	TD  *tdxsim.TD
	Log *tdxsim.EventLog
}

// Boot starts a node of the profile on the platform: firmware, loader, kernel.
func Boot(platform *tdxsim.Platform, profile release.Profile) (*Machine, error) {
	td := platform.NewTD(tdx.Register(sha512.Sum384([]byte("rehearsal GCP firmware"))))
	m := &Machine{TD: td, Log: tdxsim.NewEventLog(td)}
	for _, e := range []struct {
		rtmr int
		what string
	}{
		{0, "rehearsal VM shape c3-standard-4, secure boot off"},
		{1, "rehearsal shim and loader"},
		{2, "rehearsal kernel and initrd"},
		{2, fmt.Sprintf("kernel_cmdline: root=/dev/mapper/root mero.profile=%s roothash=%s", profile, verityRoot(profile))},
	} {
		if err := m.Log.Measure(e.rtmr, evIPL, []byte(e.what)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// verityRoot stands for the root hash of the profile's file system.
func verityRoot(profile release.Profile) string {
	sum := sha512.Sum512_256([]byte("rehearsal root file system of " + profile))
	return hex.EncodeToString(sum[:])
}

// TSM is the machine's configfs-tsm, as its agent sees it.
func (m *Machine) TSM() configfsi.Client { return tdxsim.TSM(m.TD, 4) }

// ImageName is the simulated image's name, with its content id.
func ImageName(v release.Version, profile release.Profile) string {
	return fmt.Sprintf("mero-tee-%s-%s-%s", profile, v, verityRoot(profile)[:8])
}

// ImageDigest stands for the digest of the disk image.
func ImageDigest(profile release.Profile) [32]byte {
	return sha512.Sum512_256([]byte("rehearsal disk image of " + profile))
}
