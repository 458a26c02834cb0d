package measurement

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Platform is docker/mero-kms/dstack-platform.json: what the operating system
// image and the VM shape that run the key service measure, and where that was
// observed.
type Platform struct {
	SchemaVersion string       `json:"schema_version"`
	Platform      string       `json:"platform"` // "dstack"
	Cluster       string       `json:"cluster"`  // where it was observed
	VMShape       string       `json:"vm_shape"`
	MRTD          tdx.Register `json:"mrtd"`
	RTMR0         tdx.Register `json:"rtmr0"`
	RTMR1         tdx.Register `json:"rtmr1"`
	RTMR2         tdx.Register `json:"rtmr2"`
	Source        string       `json:"source"` // the public record of the values
}

// DecodePlatform reads the platform file strictly. Errors carry code 2: it is
// an input of the repository.
func DecodePlatform(data []byte) (Platform, error) {
	var p Platform
	if err := canonical.UnmarshalExact(data, &p); err != nil {
		return Platform{}, platformFault(err)
	}
	if err := p.check(); err != nil {
		return Platform{}, platformFault(err)
	}
	return p, nil
}

func platformFault(err error) error {
	return &fault.Error{Code: fault.Usage, Message: "platform file", Err: err}
}

func (p Platform) check() error {
	if p.SchemaVersion != SchemaVersion || p.Platform != "dstack" {
		return fmt.Errorf("schema_version %q of platform %q is unknown", p.SchemaVersion, p.Platform)
	}
	if p.Cluster == "" || p.VMShape == "" || p.Source == "" {
		return fmt.Errorf("cluster, vm_shape and source must all be named")
	}
	for i, v := range [4]tdx.Register{p.MRTD, p.RTMR0, p.RTMR1, p.RTMR2} {
		if v.IsZero() {
			return fmt.Errorf("%s is zero", tdx.RegisterNames()[i])
		}
	}
	return nil
}

// PredictKMS is the measurement of a KMS release before anything runs: the
// platform's registers, and for each profile the event chain that follows from
// its compose hash. images holds each image's name and digest,
// composeHashes the SHA-256 of each app-compose file; host is what is accepted of
// the machine under the service.
func PredictKMS(tag release.Tag, commit string, platform Platform, host tcb.List,
	images map[release.Profile]Image, composeHashes map[release.Profile]digest.Digest) (*Published, error) {
	if err := platform.check(); err != nil {
		return nil, platformFault(err)
	}
	out := &Published{SchemaVersion: SchemaVersion, Family: release.KMS, Tag: tag, Commit: commit,
		Profiles: map[release.Profile]Profile{}, HostTCB: &host}
	for _, name := range release.Profiles() {
		image := images[name]
		image.ComposeHash = composeHashes[name]
		out.Profiles[name] = Profile{
			MRTD: platform.MRTD, RTMR0: platform.RTMR0, RTMR1: platform.RTMR1, RTMR2: platform.RTMR2,
			Owners:   OwnersOf(release.KMS),
			Image:    image,
			Events:   PredictEvents(image.ComposeHash),
			Evidence: Evidence{Source: platform.Source},
		}
	}
	if err := out.Check(); err != nil {
		return nil, err
	}
	return out, nil
}
