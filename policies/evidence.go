package policies

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Evidence is what a node release publishes in its published-mrtds.json.
// The zero value means that there is no node release yet.
type Evidence struct {
	Tag       release.Tag
	Digest    string // "sha256:" and 64 hex digits of the file
	Registers map[release.Profile]tdx.Registers
}

// EvidenceOf reads the bytes of a published-mrtds.json; its errors have code Verification.
func EvidenceOf(published []byte) (Evidence, error) {
	p, err := measurement.Decode(published)
	if err != nil {
		return Evidence{}, err
	}
	if p.Family != release.Node {
		return Evidence{}, fault.Mismatch("measurements of another family", string(release.Node), string(p.Family))
	}
	ev := Evidence{Tag: p.Tag, Digest: digest.Of(published).String(), Registers: map[release.Profile]tdx.Registers{}}
	for profile, m := range p.Profiles {
		ev.Registers[profile] = m.Registers()
	}
	return ev, nil
}

// minBoots is what "stable" means: one boot agrees with itself, whatever it shows.
const minBoots = 2

// CheckStable says whether a node release's measurements may be promoted or
// refreshed: "Once E2E tests confirm stable MRTD/RTMR values". In every
// profile at least two boots agreed and RTMR3 is the profile's formula. Its
// errors have code Verification.
func CheckStable(p *measurement.Published) error {
	if err := p.Check(); err != nil {
		return err
	}
	if p.Family != release.Node {
		return fault.Mismatch("measurements of another family", string(release.Node), string(p.Family))
	}
	for _, name := range release.Profiles() {
		if boots := p.Profiles[name].Evidence.Boots; boots < minBoots {
			return fault.Mismatch(fmt.Sprintf("the %s measurement of %s is not stable", name, p.Tag),
				fmt.Sprintf("at least %d boots that agreed", minBoots), fmt.Sprintf("%d", boots))
		}
	}
	return nil
}
