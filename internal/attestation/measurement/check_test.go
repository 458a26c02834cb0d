package measurement_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// edit changes one profile in place.
func edit(p *measurement.Published, name release.Profile, change func(*measurement.Profile)) {
	profile := p.Profiles[name]
	change(&profile)
	p.Profiles[name] = profile
}

func requireFinding(t *testing.T, p *measurement.Published, want string) {
	t.Helper()
	err := p.Check()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Verification, f.Code)
	require.Contains(t, f.Got, want)
	_, err = p.Encode()
	require.Error(t, err, "what does not hold is not written either")
}

func TestCheckBothFamilies(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*measurement.Published){
		`schema_version is "2"`: func(p *measurement.Published) { p.SchemaVersion = "2" },
		`family "mero-x"`:       func(p *measurement.Published) { p.Family = "mero-x" },
		"is not of family":      func(p *measurement.Published) { p.Tag.Family = p.Family.Counterpart() },
		"is not 40 hex digits":  func(p *measurement.Published) { p.Commit = "HEAD" },
		"2 profiles instead":    func(p *measurement.Published) { delete(p.Profiles, release.Debug) },
		"profile debug is missing": func(p *measurement.Published) {
			p.Profiles["production"] = p.Profiles[release.Debug]
			delete(p.Profiles, release.Debug)
		},
		"locked-read-only: mrtd is zero": func(p *measurement.Published) {
			edit(p, release.LockedReadOnly, func(p *measurement.Profile) { p.MRTD = tdx.Register{} })
		},
		"debug: rtmr0 is zero": func(p *measurement.Published) {
			edit(p, release.Debug, func(p *measurement.Profile) { p.RTMR0 = tdx.Register{} })
		},
		"debug: rtmr1 is zero": func(p *measurement.Published) {
			edit(p, release.Debug, func(p *measurement.Profile) { p.RTMR1 = tdx.Register{} })
		},
		"debug: rtmr2 is zero": func(p *measurement.Published) {
			edit(p, release.Debug, func(p *measurement.Profile) { p.RTMR2 = tdx.Register{} })
		},
		"owners are not those": func(p *measurement.Published) {
			edit(p, release.Debug, func(p *measurement.Profile) { p.Owners.RTMR1 = "operator" })
		},
		"image has no name": func(p *measurement.Published) {
			edit(p, release.Debug, func(p *measurement.Profile) { p.Image.Name = "" })
		},
		"image has no digest": func(p *measurement.Published) {
			edit(p, release.Debug, func(p *measurement.Profile) { p.Image.Digest = digest.Digest{} })
		},
		"have the same image digest": func(p *measurement.Published) {
			edit(p, release.Debug, func(d *measurement.Profile) {
				d.Image.Digest = p.Profiles[release.LockedReadOnly].Image.Digest
			})
		},
	} {
		for _, p := range []*measurement.Published{node(t), kms(t)} {
			require.NoError(t, p.Check())
			change(p)
			requireFinding(t, p, want)
		}
	}
}

func TestCheckNode(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*measurement.Profile){
		"rtmr3 is zero":              func(p *measurement.Profile) { p.RTMR3 = &tdx.Register{} },
		"rtmr3 is not the profile's": func(p *measurement.Profile) { p.RTMR3 = nil },
		"debug: rtmr3 is not the profile's dfd43c09e6ca6228": func(p *measurement.Profile) {
			other := tdx.ProfileRTMR3("locked-read-only")
			p.RTMR3 = &other
		},
		"a node has no compose hash": func(p *measurement.Profile) { p.Image.ComposeHash = sum("x") },
		"a node has no OS image":     func(p *measurement.Profile) { p.Image.OSImage = "dstack-0.5.9" },
		"a node publishes no events": func(p *measurement.Profile) {
			p.Events = measurement.PredictEvents(sum("x"), sum("y"))
		},
		"evidence lacks quote": func(p *measurement.Profile) { p.Evidence.Quote = digest.Digest{} },
		"evidence lacks quote, event log": func(p *measurement.Profile) {
			p.Evidence.EventLog = digest.Digest{}
		},
		"event log or collateral": func(p *measurement.Profile) {
			p.Evidence.Collateral = digest.Digest{}
		},
		"no boot agreed": func(p *measurement.Profile) { p.Evidence.Boots = 0 },
		"debug and debug-read-only have the same rtmr2": func(p *measurement.Profile) { p.RTMR2 = register(2) },
	} {
		p := node(t)
		edit(p, release.Debug, change)
		requireFinding(t, p, want)
	}
}

// The predecessor's three profiles were identical in every release that is in
// its history; MRTD, RTMR0 and RTMR1 legitimately are.
func TestEqualPlatformRegistersAreFine(t *testing.T) {
	t.Parallel()
	p := node(t)
	require.Equal(t, p.Profiles[release.Debug].MRTD, p.Profiles[release.LockedReadOnly].MRTD)
	require.NoError(t, p.Check())
}

func TestCheckKMS(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*measurement.Profile){
		"rtmr3 is published":       func(p *measurement.Profile) { r := register(3); p.RTMR3 = &r },
		"OS image is not named":    func(p *measurement.Profile) { p.Image.OSImage = "" },
		"OS image hash is missing": func(p *measurement.Profile) { p.Image.OSImageHash = digest.Digest{} },
		"compose hash is missing":  func(p *measurement.Profile) { p.Image.ComposeHash = digest.Digest{} },
		"have the same compose hash": func(p *measurement.Profile) {
			p.Image.ComposeHash = sum("app-compose locked-read-only")
		},
		"events are not those": func(p *measurement.Profile) { p.Events = p.Events[:4] },
		"compose hash and OS image predict": func(p *measurement.Profile) {
			p.Events = append([]measurement.Event{}, p.Events...)
			p.Events[1].Payload = p.Events[1].Payload[:20]
		},
		"names no source":          func(p *measurement.Profile) { p.Evidence.Source = "" },
		"evidence speaks of boots": func(p *measurement.Profile) { p.Evidence.Boots = 1 },
	} {
		p := kms(t)
		edit(p, release.Debug, change)
		requireFinding(t, p, want)
	}
}

// An instance id whose payload is known, or a known payload that is left out, is another statement.
func TestAbsentPayloadIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	for i := range measurement.PredictEvents(sum("x"), sum("y")) {
		p := kms(t)
		edit(p, release.Debug, func(p *measurement.Profile) {
			p.Events = append([]measurement.Event{}, p.Events...)
			if p.Events[i].Payload == nil {
				p.Events[i].Payload = measurement.Hex{}
			} else {
				p.Events[i].Payload = nil
			}
		})
		requireFinding(t, p, "events are not those")
	}
}
