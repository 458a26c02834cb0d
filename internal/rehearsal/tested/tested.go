// Package tested writes the evidence of end-to-end tests that a rehearsal takes
// as done: those of simulated counterparts, which were released before any key
// service was there to test them with.
//
// Its promise: a record of it has the shape of a real one and vouches for
// nothing but the bytes that it was made for, and each of its checks says that
// nobody made it.
package tested

import (
	"time"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Assumed is the name of the only check of each profile.
const Assumed = "rehearsal: the simulated release is taken as tested"

// Candidate is the key service that a simulated node release is taken as tested
// with: a candidate of its own number, which nobody released.
func Candidate(node release.Tag) release.Tag {
	v := node.Version.Final()
	v.Candidate = 1
	return release.Tag{Family: release.KMS, Version: v}
}

// Passed is the record of a test of a node release, of whose published-mrtds.json
// these are the bytes, with a key service.
func Passed(kms release.Tag, published []byte, at time.Time) (*evidence.E2E, error) {
	node, err := measurement.Decode(published)
	if err != nil {
		return nil, err
	}
	out := &evidence.E2E{SchemaVersion: evidence.SchemaVersion, Release: kms, At: evidence.Stamp(at),
		KMS:    evidence.Side{Release: kms, Commit: node.Commit, Measurements: assumed("measurements of " + kms.String())},
		Node:   evidence.Side{Release: node.Tag, Commit: node.Commit, Measurements: digest.Of(published)},
		Note:   "a rehearsal: no key service was there to test the simulated release with",
		Checks: []evidence.Check{}}
	for _, p := range release.Profiles() {
		m := node.Profiles[p]
		seen, what := m.Registers(), kms.String()+" "+string(p)
		out.Profiles = append(out.Profiles, evidence.Profile{Profile: p,
			KMS: evidence.Service{Machine: evidence.Machine{Image: what, Digest: assumed("image of " + what)},
				ComposeHash: assumed("compose file of " + what), Policy: assumed("policy of " + what)},
			Node:   evidence.Machine{Image: m.Image.Name, Digest: m.Image.Digest, Seen: &seen},
			Checks: []evidence.Check{{Name: Assumed, Result: check.Passed, Reason: "nobody tested it"}}})
	}
	return out, out.Check()
}

func assumed(what string) digest.Digest { return digest.Of([]byte("assumed: " + what)) }
