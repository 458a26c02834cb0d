package dstack

import (
	"crypto/sha512"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// Platforms are what the simulated operating systems measure, in the shape of
// dstack-platforms.json: the rehearsal's counterpart of that file. The newest
// image is not in it: nobody has observed it yet.
func Platforms() measurement.Platforms {
	out := measurement.Platforms{SchemaVersion: measurement.SchemaVersion, Platform: "dstack", Image: images()[1]}
	for _, image := range images()[1:] {
		out.Images = append(out.Images, platform(image))
	}
	return out
}

func platform(image string) measurement.Platform {
	var rtmr [3]tdx.Register
	for _, e := range bootEvents(shape, image) {
		rtmr[e.rtmr] = rtmr[e.rtmr].Extend(sha512.Sum384([]byte(e.data)))
	}
	return measurement.Platform{
		Image: image, OSImageHash: osImageHash(image), Cluster: "rehearsal", VMShape: shape,
		MRTD: sha512.Sum384([]byte(firmware)), RTMR0: rtmr[0], RTMR1: rtmr[1], RTMR2: rtmr[2],
		Source: "internal/rehearsal/dstack: a simulated operating system, not real hardware",
	}
}
