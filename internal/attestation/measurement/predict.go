package measurement

import (
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

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
		image.ComposeHash, image.OSImage, image.OSImageHash = composeHashes[name], platform.Image, platform.OSImageHash
		out.Profiles[name] = Profile{
			MRTD: platform.MRTD, RTMR0: platform.RTMR0, RTMR1: platform.RTMR1, RTMR2: platform.RTMR2,
			Owners:   OwnersOf(release.KMS),
			Image:    image,
			Events:   PredictEvents(image.ComposeHash, image.OSImageHash),
			Evidence: Evidence{Source: platform.Source},
		}
	}
	if err := out.Check(); err != nil {
		return nil, err
	}
	return out, nil
}
