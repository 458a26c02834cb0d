package measurement

import "github.com/calimero-network/mero-tee/internal/release"

// Owner says who decides a value, and so who can change it without us.
type Owner string

// The four owners.
const (
	OwnerPlatform Owner = "platform" // the cloud's firmware, VM shape or OS: moves without a release of ours
	OwnerImage    Owner = "image"    // what this release built
	OwnerProfile  Owner = "profile"  // the profile's formula
	OwnerInstance Owner = "instance" // one machine: never published, never compared
)

// Owners names the owner of each register.
type Owners struct {
	MRTD  Owner `json:"mrtd"`
	RTMR0 Owner `json:"rtmr0"`
	RTMR1 Owner `json:"rtmr1"`
	RTMR2 Owner `json:"rtmr2"`
	RTMR3 Owner `json:"rtmr3"`
}

// OwnersOf is who owns the registers of a family's machines. On dstack the
// operating system is the platform's, and RTMR3 holds an instance id; on GCP
// the kernel, initrd and command line are the image's, and RTMR3 is a formula.
func OwnersOf(f release.Family) Owners {
	if f == release.KMS {
		return Owners{OwnerPlatform, OwnerPlatform, OwnerPlatform, OwnerPlatform, OwnerInstance}
	}
	return Owners{OwnerPlatform, OwnerPlatform, OwnerImage, OwnerImage, OwnerProfile}
}
