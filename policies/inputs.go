package policies

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// FromMeasurements makes the policies of a key service's version from files of
// published measurements alone, one for each node release: "per-profile
// attestation policy JSON from MRTD inputs". They admit these tuples and no
// others; what is accepted of machines, and what is revoked, is the working
// policies'. Each tuple names its release and the digest of the file that it
// rests on. Refused, with code Verification: measurements that are not stable,
// revoked ones, and a file that is not what was promoted of its release.
func FromMeasurements(working map[release.Profile]*Working, kms release.Version,
	files ...[]byte) (map[release.Profile]*Policy, error) {
	if len(files) == 0 {
		return nil, &fault.Error{Code: fault.Usage, Message: "no measurements to make a policy of",
			Expected: "at least one published-mrtds.json of a node release", Got: "none"}
	}
	var all []Evidence
	for _, data := range files {
		ev, err := stableEvidence(data)
		if err != nil {
			return nil, err
		}
		all = append(all, ev)
	}
	set := map[release.Profile]*Policy{}
	for _, profile := range release.Profiles() {
		w := working[profile]
		if w == nil {
			return nil, fault.Mismatch("working policy is missing", string(profile), "nothing")
		}
		policy, err := w.from(kms, all)
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", profile, err)
		}
		set[profile] = policy
	}
	return set, CheckSet(set)
}

func stableEvidence(data []byte) (Evidence, error) {
	published, err := measurement.Decode(data)
	if err != nil {
		return Evidence{}, err
	}
	if err := CheckStable(published); err != nil {
		return Evidence{}, err
	}
	return EvidenceOf(data)
}

// from is the policy that holds the evidence's tuples of w's profile, and none that was promoted before.
func (w *Working) from(kms release.Version, all []Evidence) (*Policy, error) {
	only := *w
	only.Measurements = []Measurement{}
	for _, ev := range all {
		if _, err := Promote(w, ev); err != nil { // it contradicts what was promoted
			return nil, err
		}
		next, err := Promote(&only, ev)
		if err != nil {
			return nil, err
		}
		only = *next
	}
	return Generate(&only, kms, all[len(all)-1])
}
