package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Profile is one profile's image, and what a machine that runs it measures.
type Profile struct {
	Name      release.Profile `json:"name"`
	Image     string          `json:"image"` // as it is asked for
	Digest    string          `json:"digest"`
	Compose   string          `json:"compose_hash,omitempty"` // of a key service
	System    string          `json:"os_image,omitempty"`     // of a key service: the provider's
	Registers []Register      `json:"registers"`
	Boots     []Boot          `json:"boots"` // of a node image, on which the registers rest
}

// Register is what is published of one register.
type Register struct {
	Name   string   `json:"name"`            // "RTMR1"
	Value  string   `json:"value,omitempty"` // 96 hex digits; empty where each machine has its own
	Owner  string   `json:"owner"`           // who can change it
	Known  string   `json:"known"`           // how the value came to be known
	Was    string   `json:"was,omitempty"`   // in the release before, where that is known and another
	Events []Event  `json:"events"`          // that make it, in order
	Moved  []string `json:"moved"`           // why it is not what it was, a cause each
}

// Event is a measurement that a register follows from.
type Event struct {
	Words  string `json:"words"`
	Digest string `json:"digest,omitempty"` // 96 hex digits, where it can be known before the machine runs
}

// Boot is a boot on which a node image's registers rest.
type Boot struct {
	Time      time.Time `json:"time"`
	Reboot    bool      `json:"reboot,omitempty"`    // of a machine that had booted before
	TCB       string    `json:"tcb"`                 // by Intel's collateral of that time
	Appraised bool      `json:"appraised,omitempty"` // by Intel Trust Authority too
}

// readings is a folder of verified assets.
type readings struct {
	published *measurement.Published
	nodes     *evidence.Release // of a node release
}

// Measured reads from a folder of verified assets what each profile measures;
// before is such a folder of the release before, empty when there is none. A
// folder that is not there yet has no profiles.
func Measured(dir, before string) ([]Profile, error) {
	now, err := read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []Profile{}, nil
	}
	if err != nil {
		return nil, err
	}
	var was *readings
	if before != "" {
		if was, err = read(before); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	var out []Profile
	for _, p := range release.Profiles() {
		profile, err := now.profile(p)
		if err != nil {
			return nil, err
		}
		if was != nil {
			now.compare(&profile, was)
		}
		out = append(out, profile)
	}
	return out, nil
}

// Based says of each register what it rests on, as an audit found it.
func Based(profiles []Profile, bases map[release.Profile][5]string) {
	for _, p := range profiles {
		if words, ok := bases[p.Name]; ok {
			for i := range p.Registers {
				p.Registers[i].Known = words[i]
			}
		}
	}
}

func read(dir string) (*readings, error) {
	data, err := os.ReadFile(filepath.Join(dir, release.MeasurementsAsset))
	if err != nil {
		return nil, err
	}
	out := &readings{}
	if out.published, err = measurement.Decode(data); err != nil || out.published.Family == release.KMS {
		return out, err
	}
	if out.nodes, err = evidence.ReadRelease(out.published.Tag.String(), dir); err != nil {
		return nil, err
	}
	return out, nil
}

func (r *readings) profile(name release.Profile) (Profile, error) {
	p := r.published.Profiles[name]
	reference, err := p.Image.Reference(r.published.Family)
	if err != nil {
		return Profile{}, err
	}
	out := Profile{Name: name, Image: reference, Digest: p.Image.Digest.String(), System: p.Image.OSImage, Boots: []Boot{}}
	if !p.Image.ComposeHash.IsZero() {
		out.Compose = p.Image.ComposeHash.String()
	}
	if r.nodes != nil {
		for _, b := range r.nodes.Profiles[name].Boots {
			out.Boots = append(out.Boots, Boot{Time: b.Time, Reboot: b.Reboot, TCB: string(b.TCB),
				Appraised: b.Appraisal != nil})
		}
	}
	for i, owner := range []measurement.Owner{p.Owners.MRTD, p.Owners.RTMR0, p.Owners.RTMR1, p.Owners.RTMR2,
		p.Owners.RTMR3} {
		register := Register{Name: strings.ToUpper(tdx.RegisterNames()[i]), Owner: owners()[owner], Moved: []string{},
			Known: known(owner, p), Events: r.events(name, i-1)}
		if v := p.Registers().Values()[i]; owner != measurement.OwnerInstance {
			register.Value = v.String()
		}
		out.Registers = append(out.Registers, register)
	}
	return out, nil
}

// owners are the owners in words.
func owners() map[measurement.Owner]string {
	return map[measurement.Owner]string{
		measurement.OwnerPlatform: "the platform: firmware and the machine's shape; moves without a release of ours",
		measurement.OwnerImage:    "the image: follows from what this release built",
		measurement.OwnerProfile:  "the profile: a formula of its name",
		measurement.OwnerInstance: "the machine: each has its own",
	}
}

// known says how a register's value came to be known.
func known(owner measurement.Owner, p measurement.Profile) string {
	observed := fmt.Sprintf("observed in %d boots that agreed", p.Evidence.Boots)
	if p.Evidence.Boots == 0 {
		observed = "observed by its source: " + p.Evidence.Source
	}
	switch owner {
	case measurement.OwnerImage:
		return "computed from the disk's bytes, and " + observed
	case measurement.OwnerProfile:
		return "computed by its formula, and " + observed
	case measurement.OwnerInstance:
		return "not published: its events are judged, one by one"
	case measurement.OwnerPlatform:
	}
	return observed
}

// events are those of an RTMR, which MRTD (-1) has not: of a node image as a
// boot's log has them, in the words of the image's record where that predicts
// them; of a key service those that follow from its release.
func (r *readings) events(name release.Profile, rtmr int) []Event {
	out := []Event{}
	if r.nodes == nil {
		for _, e := range r.published.Profiles[name].Events {
			if rtmr == 3 {
				out = append(out, Event{Words: predicted(e)})
			}
		}
		return out
	}
	measured := r.nodes.Profiles[name]
	if rtmr == 3 {
		return append(out, Event{Words: "the agent, before everything that could act: profile " + string(name)})
	}
	words := measured.Record.Words()
	for _, e := range measured.Events {
		if e.RTMR != rtmr || rtmr < 0 || e.Type == tdx.NoActionEvent {
			continue
		}
		event := Event{Words: words[e.Digest], Digest: e.Digest.String()}
		if event.Words == "" {
			event.Words = e.Describe().String()
		}
		out = append(out, event)
	}
	return out
}

func predicted(e measurement.Event) string {
	switch {
	case e.Payload == nil:
		return fmt.Sprintf("%s: not known before it runs (%s)", e.Name, e.Owner)
	case len(e.Payload) == 0:
		return e.Name
	}
	return fmt.Sprintf("%s: %x", e.Name, []byte(e.Payload))
}

// compare says of each register what it was before, and what moved it.
func (r *readings) compare(p *Profile, was *readings) {
	before, now := was.published.Profiles[p.Name], r.published.Profiles[p.Name]
	for _, d := range before.Registers().Compare(now.Registers()) {
		p.register(d.Name).Was = d.Want.String()
	}
	if r.nodes == nil {
		for _, cause := range measurement.Causes(before, now) {
			for _, name := range cause.Registers {
				if register := p.register(name); register.Was != "" || register.Value == "" {
					register.Moved = append(register.Moved, cause.Event)
				}
			}
		}
		return
	}
	for _, m := range evidence.Movements(was.nodes.Profiles[p.Name], r.nodes.Profiles[p.Name]) {
		p.register(m.Register).Moved = m.Events
	}
}

// register is the one of that name, however it is spelled.
func (p *Profile) register(name string) *Register {
	return &p.Registers[slices.IndexFunc(p.Registers, func(r Register) bool { return strings.EqualFold(r.Name, name) })]
}
