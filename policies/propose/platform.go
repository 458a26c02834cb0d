package propose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Boots are the event logs behind a release's registers, from verified quotes:
// one for each profile.
type Boots map[release.Profile][]tdx.Event

// Platform is why RTMR0 moved, event by event, and what of it somebody accepts.
type Platform struct {
	Promoted func(release.Tag) (Boots, error) // of the release, as it was released
	Seen     Boots                            // of what was observed
	Accept   []string                         // names of events that may have moved too
	Reason   string                           // for those
}

// moved is one event of RTMR0 that moved, in one profile.
type moved struct {
	profile  release.Profile
	move     tdx.Move
	accepted bool // by its name, for the reason given
}

// mayMove says whether a platform moves such an event by itself: the firmware
// volume, ACPI data, the boot order and its options. One more or one fewer is
// another machine, and so is what the log words otherwise than it measured it.
func mayMove(m tdx.Move) bool {
	if m.Before == nil || m.After == nil {
		return false
	}
	d := m.After.Describe()
	switch d.Kind {
	case tdx.KindVolume: // neither its bytes nor those of a table are in a log
		return true
	case tdx.KindConfig:
		return d.Subject == "ACPI DATA"
	case tdx.KindBootOrder, tdx.KindBootOption:
		return d.Measured && !d.HostSays
	}
	return false
}

// check: whoever accepts something says why, and nobody gives a reason for nothing.
func (p Platform) check() error {
	if len(p.Accept) > 0 {
		return reason.Check("-accept", p.Reason)
	}
	if p.Reason != "" {
		return usage("a reason for nothing", "-accept=EVENT with it", "no -accept")
	}
	return nil
}

// explain finds what moved RTMR0 of a profile from the promoted registers to
// the observed ones, which stands has none of. Refused (code Verification): logs
// that are not of these registers, and events that neither a platform moves nor
// anybody accepts. Code MissingAsset: there is no log.
func (p Platform) explain(profile release.Profile, stands []policies.Measurement, seen tdx.Registers) ([]moved, error) {
	first := stands[0]
	if i := slices.IndexFunc(stands, func(m policies.Measurement) bool { return !m.Refreshed() }); i >= 0 {
		first = stands[i]
	}
	boots, err := p.Promoted(first.NodeRelease)
	if err != nil {
		return nil, err
	}
	before, after := boots[profile], p.Seen[profile]
	if err := replays(profile, first.NodeRelease.String(), before, first.RTMR0); err != nil {
		return nil, err
	}
	if err := replays(profile, "the observation", after, seen.RTMR0); err != nil {
		return nil, err
	}
	var out []moved
	var strange []string
	for _, m := range tdx.Moves(before, after, 0) {
		accepted := !mayMove(m)
		if accepted && (hostSays(m) || !slices.Contains(p.Accept, m.Name())) {
			strange = append(strange, worded(m))
		}
		out = append(out, moved{profile, m, accepted})
	}
	if len(strange) > 0 {
		return nil, p.refuse(profile, strange)
	}
	return out, nil
}

func replays(profile release.Profile, whose string, log []tdx.Event, want tdx.Register) error {
	if len(log) == 0 {
		return &fault.Error{Code: fault.MissingAsset, Message: fmt.Sprintf("RTMR0 of %s moved, and %s has no event log",
			profile, whose), Expected: release.EvidenceAsset(profile) + " beside " + release.MeasurementsAsset, Got: "none",
			Hint: "measure it again with `go tool mage node:measure`, which writes it"}
	}
	if got := tdx.Replay(log, 0); got != want {
		return fault.Mismatch(fmt.Sprintf("the event log of %s, %s, is not of its RTMR0", whose, profile), want.String(),
			got.String())
	}
	return nil
}

// hostSays: what boots reads such an event from the host, which nobody accepts by a word.
func hostSays(m tdx.Move) bool { return m.After != nil && m.After.Describe().HostSays }

func (p Platform) refuse(profile release.Profile, strange []string) error {
	err := &fault.Error{Code: fault.Verification,
		Message:  fmt.Sprintf("RTMR0 of %s moved by an event that no platform moves by itself", profile),
		Expected: "another firmware volume, ACPI data, boot order or boot option, and nothing else",
		Got:      strings.Join(strange, "; "),
		Hint: "if you know why: -accept=EVENT,… with the names in front of the colons, and -reason=…; " +
			"what boots reads from the host is never accepted"}
	return err
}

// worded is a move in words: the event's name first.
func worded(m tdx.Move) string {
	switch {
	case m.Before == nil:
		return fmt.Sprintf("%s: new, %s", m.Name(), value(*m.After))
	case m.After == nil:
		return fmt.Sprintf("%s: gone, was %s", m.Name(), value(*m.Before))
	}
	return fmt.Sprintf("%s: %s, was %s", m.Name(), value(*m.After), value(*m.Before))
}

// value is what an event measured: its words, or the beginning of its digest.
func value(e tdx.Event) string {
	d := e.Describe()
	out := fmt.Sprintf("%.16s…", e.Digest)
	if d.Measured && d.Text != "" {
		out = d.Text + " (" + out + ")"
	}
	if d.HostSays {
		out += "; what boots reads it from the host"
	}
	return out
}

// unused refuses a name that nothing of moved bears: whoever accepts in advance has not looked.
func (p Platform) unused(all []moved) error {
	for _, name := range p.Accept {
		bears := func(m moved) bool { return m.accepted && m.move.Name() == name }
		if !slices.ContainsFunc(all, bears) {
			return &fault.Error{Code: fault.Usage, Message: "an event is accepted that did not move, or that may move anyway",
				Expected: "the name of an event that was refused", Got: fmt.Sprintf("-accept=%q", name),
				Hint: "run the command without -accept: it names them"}
		}
	}
	return nil
}

// page is what the proposal says of the moves.
func (p Platform) page(all []moved) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n## What moved RTMR0\n\n| profile | event | |\n|---|---|---|\n")
	for _, m := range all {
		note := "a platform moves it"
		if m.accepted {
			note = "**accepted**"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", m.profile, strings.ReplaceAll(worded(m.move), "`", "'"), note)
	}
	if slices.ContainsFunc(all, func(m moved) bool { return m.accepted }) {
		fmt.Fprintf(&b, "\nAccepted, because: `%s`\n", strings.ReplaceAll(p.Reason, "`", "'"))
	}
	return b.String()
}
