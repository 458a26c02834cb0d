package policies

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// CheckSet judges the policies of one KMS release together: all profiles are
// there, each in its place and of one version, every tuple's RTMR3 is its
// profile's, and no RTMR2 or RTMR3 is allowed in two profiles. MRTD, RTMR0 and
// RTMR1 are the platform's and may be equal. Its errors have code Verification.
func CheckSet(set map[release.Profile]*Policy) error {
	if len(set) != len(release.Profiles()) {
		return fault.Mismatch("policies of other profiles",
			fmt.Sprint(release.Profiles()), fmt.Sprintf("%d policies", len(set)))
	}
	owner := map[place]release.Profile{}
	for _, profile := range release.Profiles() {
		p := set[profile]
		if p == nil {
			return fault.Mismatch("policy is missing", string(profile), "nothing")
		}
		if err := checkPlace(profile, p, set[release.Profiles()[0]]); err != nil {
			return fmt.Errorf("%s: %w", release.PolicyAsset(profile), err)
		}
		if err := claim(owner, profile, p.Measurements); err != nil {
			return err
		}
	}
	return nil
}

// CheckWorkingSet judges the working policies together, as CheckSet does the
// released ones. A revoked tuple claims nothing.
func CheckWorkingSet(set map[release.Profile]*Working) error {
	owner := map[place]release.Profile{}
	for _, profile := range release.Profiles() {
		w := set[profile]
		if w == nil {
			return fault.Mismatch("working policy is missing", string(profile), "nothing")
		}
		for _, m := range w.Measurements {
			if err := checkProfileRegister(profile, m); err != nil {
				return fmt.Errorf("%s: %w", File(profile), err)
			}
		}
		if err := claim(owner, profile, w.Standing()); err != nil {
			return err
		}
	}
	return nil
}

func checkPlace(profile release.Profile, p, first *Policy) error {
	if err := p.Check(); err != nil {
		return err
	}
	if p.Profile != profile {
		return fault.Mismatch("policy of another profile", string(profile), string(p.Profile))
	}
	if p.KMSVersion != first.KMSVersion {
		return fault.Mismatch("policies of two KMS versions", first.KMSVersion.String(), p.KMSVersion.String())
	}
	for _, m := range p.Measurements {
		if err := checkProfileRegister(profile, m); err != nil {
			return err
		}
	}
	return nil
}

// place is one value of one register, wherever it is allowed.
type place struct {
	register string
	value    tdx.Register
}

// claim notes that the registers belong to the profile and refuses what another profile has.
func claim(owner map[place]release.Profile, profile release.Profile, tuples []Measurement) error {
	for _, m := range tuples {
		for _, at := range []place{{"rtmr2", m.RTMR2}, {"rtmr3", m.RTMR3}} {
			if other, taken := owner[at]; taken && other != profile {
				return fault.Mismatch(at.register+" is allowed in two profiles",
					"distinct values", fmt.Sprintf("%s in %s and %s", at.value, other, profile))
			}
			owner[at] = profile
		}
	}
	return nil
}
