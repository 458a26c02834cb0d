package measurement

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// findings collects everything that is wrong, so that one error never hides another.
type findings []string

func (f *findings) say(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

// Check judges the content: all three profiles, no zero register, the owners
// of the family, an image, evidence, and every value that can be recomputed.
// The error has code 10 and lists every finding.
func (p *Published) Check() error {
	var f findings
	f.say(p.SchemaVersion == SchemaVersion, "schema_version is %q, not %q", p.SchemaVersion, SchemaVersion)
	f.say(slices.Contains(release.Families(), p.Family), "family %q is unknown", p.Family)
	f.say(p.Tag.Family == p.Family, "tag %s is not of family %q", p.Tag, p.Family)
	f.say(commitForm.MatchString(p.Commit), "commit %.60q is not 40 hex digits", p.Commit)
	f.say(len(p.Profiles) == len(release.Profiles()), "%d profiles instead of %d", len(p.Profiles),
		len(release.Profiles()))
	for _, name := range release.Profiles() {
		profile, ok := p.Profiles[name]
		if !ok {
			f.say(false, "profile %s is missing", name)
			continue
		}
		for _, finding := range profile.check(p.Family, name) {
			f.say(false, "profile %s: %s", name, finding)
		}
	}
	p.checkDistinct(&f)
	p.checkHost(&f)
	if len(f) == 0 {
		return nil
	}
	return fault.Mismatch(release.MeasurementsAsset+" says what cannot be",
		"three complete profiles of one release", strings.Join(f, "; "))
}

// checkHost: who owns the nodes' machines is in the policies, and who owns the key service's here.
func (p *Published) checkHost(f *findings) {
	if p.Family != release.KMS {
		f.say(p.HostTCB == nil, "host_tcb is for key services")
		return
	}
	if p.HostTCB == nil {
		f.say(false, "host_tcb is missing")
		return
	}
	if err := p.HostTCB.Check(); err != nil {
		f.say(false, "host_tcb: %v", err)
	}
}

func (p Profile) check(family release.Family, name release.Profile) findings {
	var f findings
	values := p.Registers().Values()
	for i, register := range tdx.RegisterNames() {
		if register != "rtmr3" || p.RTMR3 != nil {
			f.say(!values[i].IsZero(), "%s is zero", register)
		}
	}
	f.say(p.Owners == OwnersOf(family), "owners are not those of family %s", family)
	f.say(p.Image.Name != "", "image has no name")
	f.say(!p.Image.Digest.IsZero(), "image has no digest")
	if family == release.KMS {
		p.checkKMS(&f)
	} else {
		p.checkNode(&f, name)
	}
	return f
}

func (p Profile) checkKMS(f *findings) {
	f.say(p.RTMR3 == nil, "rtmr3 is published although it belongs to the instance")
	f.say(!p.Image.ComposeHash.IsZero(), "compose hash is missing")
	f.say(imageForm.MatchString(p.Image.OSImage), "OS image is not named")
	f.say(!p.Image.OSImageHash.IsZero(), "OS image hash is missing")
	f.say(slices.EqualFunc(p.Events, PredictEvents(p.Image.ComposeHash, p.Image.OSImageHash), equalEvents),
		"events are not those that compose hash and OS image predict")
	f.say(p.Evidence.Source != "", "evidence names no source of the platform's registers")
	f.say(p.Evidence == Evidence{Source: p.Evidence.Source}, "evidence speaks of boots, which a prediction has none of")
}

func (p Profile) checkNode(f *findings, name release.Profile) {
	want := tdx.ProfileRTMR3(string(name))
	f.say(p.RTMR3 != nil && *p.RTMR3 == want, "rtmr3 is not the profile's %s", want)
	f.say(p.Image.ComposeHash.IsZero(), "a node has no compose hash")
	f.say(p.Image.OSImage == "" && p.Image.OSImageHash.IsZero(), "a node has no OS image besides its own")
	f.say(len(p.Events) == 0, "a node publishes no events")
	e := p.Evidence
	f.say(!e.Quote.IsZero() && !e.EventLog.IsZero() && !e.Collateral.IsZero(),
		"evidence lacks quote, event log or collateral")
	f.say(e.Boots > 0, "no boot agreed on the values")
}

// checkDistinct: RTMR2 of two nodes and the digests of two images differ
// between profiles; MRTD, RTMR0 and RTMR1 may be equal. (RTMR3 is a formula.)
func (p *Published) checkDistinct(f *findings) {
	seen := map[string]release.Profile{}
	distinct := func(what, value string, name release.Profile) {
		other, taken := seen[what+value]
		f.say(!taken, "profiles %s and %s have the same %s", other, name, what)
		seen[what+value] = name
	}
	for _, name := range release.Profiles() {
		profile, ok := p.Profiles[name]
		if !ok {
			continue
		}
		distinct("image digest", profile.Image.Digest.String(), name)
		if p.Family == release.KMS {
			distinct("compose hash", profile.Image.ComposeHash.String(), name)
		} else {
			distinct("rtmr2", profile.RTMR2.String(), name)
		}
	}
}

func equalEvents(a, b Event) bool {
	return a.Name == b.Name && a.Owner == b.Owner &&
		(a.Payload == nil) == (b.Payload == nil) && slices.Equal(a.Payload, b.Payload)
}
