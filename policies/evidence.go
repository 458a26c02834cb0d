package policies

import (
	"errors"
	"fmt"
	"strings"
	"time"

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

// ErrNotAsked is why somebody judges without what others published or revoked.
var ErrNotAsked = errors.New("nobody was asked")

// Published are what node releases publish, by tag: every one that was asked for and exists.
type Published map[release.Tag]Evidence

// Judge says whether m, a tuple of the profile's policy, is what the node release
// that it names publishes. One that was seen later, on a platform that moved, has
// the release's image, a day that is not after at, and the registers of the file
// that it cites when a release published that one. Its errors have code Verification.
func (p Published) Judge(profile release.Profile, m Measurement, at time.Time) error {
	ev, exists := p[m.NodeRelease]
	if !exists {
		return &fault.Error{Code: fault.Verification,
			Message:  fmt.Sprintf("the %s policy names a node release that does not exist", profile),
			Expected: "a public release " + m.NodeRelease.String(), Got: "no such release"}
	}
	if today := at.UTC().Format(time.DateOnly); m.FirstSeen > today { // days in this form sort as they follow
		return fault.Mismatch(fmt.Sprintf("a measurement of %s in the %s policy was first seen in the future", m.NodeRelease,
			profile), "a day up to "+today, m.FirstSeen)
	}
	if !m.Refreshed() {
		return ev.publishes(profile, m)
	}
	if err := ev.built(profile, m); err != nil {
		return err
	}
	for _, cited := range p { // what it rests on is a file of its own, unless a release published that one
		if cited.Digest == m.Evidence {
			return cited.shows(profile, m)
		}
	}
	return nil
}

// built: of a tuple that was seen later, the image is the release's.
func (e Evidence) built(p release.Profile, m Measurement) error {
	regs, err := e.of(p)
	if err != nil || SameImage(regs, m.Registers) {
		return err
	}
	return fault.Mismatch(fmt.Sprintf("the refreshed measurement of %s in the %s policy is of another image", e.Tag, p),
		regs.RTMR2.String(), m.RTMR2.String())
}

func (e Evidence) publishes(p release.Profile, m Measurement) error {
	if _, there := e.Registers[p]; there && m.Evidence != e.Digest {
		return fault.Mismatch(
			fmt.Sprintf("%s of %s is not the evidence in the %s policy", release.MeasurementsAsset, e.Tag, p),
			m.Evidence, e.Digest)
	}
	return e.shows(p, m)
}

// shows: the file has these very registers.
func (e Evidence) shows(p release.Profile, m Measurement) error {
	regs, err := e.of(p)
	if err != nil {
		return err
	}
	diffs := regs.Compare(m.Registers)
	if len(diffs) == 0 {
		return nil
	}
	names := make([]string, len(diffs))
	for i, d := range diffs {
		names[i] = d.Name
	}
	return fault.Mismatch(fmt.Sprintf("%s of %s in the %s policy differs from what is published",
		strings.Join(names, ", "), e.Tag, p), diffs[0].Want.String(), diffs[0].Got.String())
}

func (e Evidence) of(p release.Profile) (tdx.Registers, error) {
	regs, ok := e.Registers[p]
	if !ok {
		return regs, fault.Mismatch(fmt.Sprintf("%s publishes no measurement of %s", e.Tag, p), string(p), "nothing")
	}
	return regs, nil
}
