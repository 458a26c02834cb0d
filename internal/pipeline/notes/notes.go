// Package notes writes the notes of a release in Markdown and judges the part
// of them that people write.
//
// Its promise: the same input gives the same bytes; every section that the spec
// asks for the class is there, also when it is empty; text from commits is shown
// literally: it can link, mention, format and hide nothing; and a template that
// nobody filled in never counts as written.
package notes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// MaxSize is GitHub's limit of a release's body, in characters.
const MaxSize = 125_000

// Input is all that notes are made of. What people wrote for this release
// (Summary, Breaking, Upgrade) is taken as Markdown; commits are not.
type Input struct {
	Repository   string // "owner/name"
	Tag          release.Tag
	Class        release.Class // empty: what the version alone says
	Previous     *release.Tag  // the family's release before it; nil in the first
	Counterpart  *release.Tag  // the other family's release that this one is paired with; nil when there is none yet
	Counterparts []Counterpart // every counterpart that the catalog lists with this version
	Banner       string        // one line that the environment wants on top; empty in production
	Commits      []git.Entry   // since Previous
	Summary      string        // Markdown: what a hotfix must explain (incident, exact change); may be empty
	Rollback     string        // Markdown, of a hotfix
	Breaking     string        // Markdown; empty: what the commits say
	Upgrade      string        // Markdown; empty: the standard path
	Waivers      []string      // of TCB statuses: where, what, until when, why
	Untested     []string      // node releases that are admitted without E2E: which, where, why
	Facts        []posture.Fact

	Measurements []Measurement
	Before       []Measurement // of Previous, to tell what changed
	Causes       []Cause       // what moved the registers since
	Images       []Image
	Return       []Image // of Previous: what a rollback goes back to
}

// Counterpart is a version of the other family that the catalog lists with this one.
type Counterpart struct {
	Tag      release.Tag
	Profiles []string
	Tested   bool // E2E passed; declared otherwise
}

// Cause is an event that moved a register of a profile, or what else did.
type Cause struct {
	Profile, Register, Event string
}

// Measurement is one profile's registers as they are published: 96 hex digits,
// or empty for a register that is not published. The owners, where they are
// known, say why a register changed.
type Measurement struct {
	Profile                          string
	MRTD, RTMR0, RTMR1, RTMR2, RTMR3 string
	Owners                           measurement.Owners
	Bases                            *[5]string // what each rests on; nil: not said
}

// Image is what a profile's image is called, by digest or content id.
type Image struct {
	Profile, Reference string
}

// Generate renders the notes.
func Generate(in Input) string {
	var b strings.Builder
	if in.Banner != "" {
		fmt.Fprintf(&b, "> **%s**\n\n", strings.Join(strings.Fields(in.Banner), " "))
	}
	fmt.Fprintf(&b, "%s %s, a %s.%s\n", title(in.Tag.Family), in.Tag.Version, description(in.class()), in.wayBack())
	if in.Summary != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(in.Summary))
	}
	if in.class() == release.Hotfix {
		section(&b, "Rollback", rollback(in))
	}
	brief := in.class() == release.Candidate // "release notes can be abbreviated"
	section(&b, "Changes", changes(in))
	if !brief || in.Breaking != "" {
		section(&b, "Breaking changes", breaking(in))
	}
	if !brief || in.Upgrade != "" {
		section(&b, "Upgrade", upgrade(in))
	}
	section(&b, "Compatible with", compatible(in))
	section(&b, "Measurements", measurements(in))
	section(&b, "Images", images(in))
	if len(in.Waivers) > 0 { // also in brief notes: it is a risk that somebody takes
		section(&b, "TCB waivers", waivers(in))
	}
	if len(in.Untested) > 0 { // likewise
		section(&b, "Promoted without E2E", untested(in))
	}
	if len(in.Facts) > 0 {
		section(&b, "Platform and policy", facts(in.Facts))
	}
	section(&b, "Verify", fmt.Sprintf("```\ngo tool mage verify:release %s\n```\n", in.Tag))
	if !brief {
		section(&b, "Contributors", contributors(in.Commits))
	}
	return b.String()
}

func section(b *strings.Builder, heading, body string) {
	fmt.Fprintf(b, "\n## %s\n\n%s", heading, body)
}

func title(f release.Family) string {
	if f == release.KMS {
		return "Key service (KMS)"
	}
	return "Node image"
}

func (in Input) class() release.Class {
	if !in.Tag.Stable() {
		return release.Candidate
	}
	return cmp.Or(in.Class, release.Stable)
}

func description(c release.Class) string {
	switch c {
	case release.Candidate:
		return "release candidate; not for production"
	case release.Hotfix:
		return "hotfix release"
	}
	return "stable release"
}

// upgrade is the spec's migration in its standard form.
func upgrade(in Input) string {
	if in.Upgrade != "" {
		return strings.TrimSpace(in.Upgrade) + "\n"
	}
	if in.Tag.Family == release.Node {
		return "Update the policy of the key service first, then boot the new image: " +
			"a node whose measurements the policy does not list gets no keys.\n"
	}
	return fmt.Sprintf("Verify this release, set `MERO_KMS_VERSION` to `%s` and `MERO_KMS_POLICY_URL` to the new policy, "+
		"restart, and check `POST /attest`.\n", in.Tag.Version)
}

// wayBack points a hotfix's reader to what is looked for in a hurry.
func (in Input) wayBack() string {
	if in.class() != release.Hotfix || in.Previous == nil {
		return ""
	}
	return fmt.Sprintf(" It patches %s; how to go back is under [Rollback](#rollback).", in.release(*in.Previous))
}

func (in Input) release(tag release.Tag) string {
	return fmt.Sprintf("[%s](https://github.com/%s/releases/tag/%s)", tag, in.Repository, tag)
}

// rollback is what people wrote, and what exactly they would go back to.
func rollback(in Input) string {
	var b strings.Builder
	if text := strings.TrimSpace(in.Rollback); text != "" {
		b.WriteString(text + "\n\n")
	}
	if in.Previous == nil {
		b.WriteString("There is no release before this one.\n")
		return b.String()
	}
	fmt.Fprintf(&b, "The release before is %s. Verify it, `go tool mage verify:release %s`, then go back to its "+
		"images:\n\n%s",
		in.release(*in.Previous), in.Previous, imageList(in.Return, "They could not be read here; its notes list them.\n"))
	if in.Previous.Family == release.KMS {
		fmt.Fprintf(&b, "\nSet `MERO_KMS_VERSION` to `%s` and `MERO_KMS_POLICY_URL` to "+
			"`https://github.com/%s/releases/download/%s/attestation-policy-{profile}.json`.\n", in.Previous.Version,
			in.Repository, in.Previous)
	}
	return b.String()
}

const maxCompatible = 100 // lines; a version has a counterpart for each release of the other family that it works with

// compatible lists the pair of this release, then every other one of the catalog.
func compatible(in Input) string {
	if in.Counterpart == nil && len(in.Counterparts) == 0 {
		return fmt.Sprintf("No release of %s yet.\n", in.Tag.Family.Counterpart())
	}
	var b strings.Builder
	paired := in.Counterpart == nil
	for i, c := range in.Counterparts {
		if i == maxCompatible {
			fmt.Fprintf(&b, "- and %d more; see the catalog\n", len(in.Counterparts)-i)
			break
		}
		state, name := "declared, not tested yet", code(c.Tag.String())
		if c.Tested {
			state, name = "tested", in.release(c.Tag)
		}
		if in.Counterpart != nil && c.Tag.Version == in.Counterpart.Version.Final() {
			state, name, paired = state+"; the one that this release is made and tested with", in.release(*in.Counterpart), true
		}
		fmt.Fprintf(&b, "- %s: %s (%s)\n", name, state, strings.Join(c.Profiles, ", "))
	}
	if !paired {
		fmt.Fprintf(&b, "- %s: the one that this release is made and tested with\n", in.release(*in.Counterpart))
	}
	return b.String()
}

func facts(list []posture.Fact) string {
	var b strings.Builder
	for _, f := range list[:min(maxFacts, len(list))] {
		fmt.Fprintf(&b, "- %s: %s\n", f.Topic, escape(f.String()))
	}
	if more := len(list) - maxFacts; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	return b.String()
}

const maxFacts = 30

func waivers(in Input) string {
	var b strings.Builder
	b.WriteString("Machines in these states are accepted for a while, although Intel has newer firmware for them:\n\n")
	for _, w := range in.Waivers {
		fmt.Fprintf(&b, "- %s\n", escape(w))
	}
	return b.String()
}

func untested(in Input) string {
	var b strings.Builder
	b.WriteString("These node releases get keys although no end-to-end test vouches for them:\n\n")
	for _, u := range in.Untested {
		fmt.Fprintf(&b, "- %s\n", escape(u))
	}
	return b.String()
}

func images(in Input) string { return imageList(in.Images, "None.\n") }

func imageList(list []Image, none string) string {
	if len(list) == 0 {
		return none
	}
	var b strings.Builder
	for _, image := range list {
		fmt.Fprintf(&b, "- %s: %s\n", code(image.Profile), code(image.Reference))
	}
	return b.String()
}

// Previous is the family's highest release below tag among releases of any family.
func Previous(tag release.Tag, releases []release.Tag) *release.Tag {
	var before *release.Tag
	for i, r := range releases {
		if r.Family == tag.Family && r.Version.Compare(tag.Version) < 0 &&
			(before == nil || r.Version.Compare(before.Version) > 0) {
			before = &releases[i]
		}
	}
	return before
}

// measurements is one table for each profile, with what changed since the previous release.
func measurements(in Input) string {
	if len(in.Measurements) == 0 {
		return "None published.\n"
	}
	before := map[string]Measurement{}
	for _, m := range in.Before {
		before[m.Profile] = m
	}
	var b strings.Builder
	for i, m := range in.Measurements {
		if i > 0 {
			b.WriteString("\n")
		}
		old, known := before[m.Profile]
		head, ruler := "| register | value | change |", "|---|---|---|"
		if m.Bases != nil {
			head, ruler = head+" rests on |", ruler+"---|"
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n%s\n", code(m.Profile), head, ruler)
		was := old.rows()
		for j, row := range m.rows() {
			fmt.Fprintf(&b, "| %s | %s | %s |", row.name, value(row.value), changed(row, was[j].value, known))
			if m.Bases != nil {
				fmt.Fprintf(&b, " %s |", m.Bases[j])
			}
			b.WriteString("\n")
		}
		b.WriteString(causes(in.Causes, m.Profile))
	}
	return b.String()
}

const maxCauses = 40 // of a profile that are listed

// causes are the events that moved the registers of a profile.
func causes(all []Cause, profile string) string {
	mine := slices.DeleteFunc(slices.Clone(all), func(c Cause) bool { return c.Profile != profile })
	if len(mine) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nMoved by:\n\n")
	for _, c := range mine[:min(maxCauses, len(mine))] {
		fmt.Fprintf(&b, "- %s: %s\n", c.Register, escape(cut(c.Event)))
	}
	if more := len(mine) - maxCauses; more > 0 {
		fmt.Fprintf(&b, "- and %d more events: `measurement:diff` shows them\n", more)
	}
	return b.String()
}

type row struct {
	name, value string
	owner       measurement.Owner
}

func (m Measurement) rows() [5]row {
	return [5]row{{"MRTD", m.MRTD, m.Owners.MRTD}, {"RTMR0", m.RTMR0, m.Owners.RTMR0}, {"RTMR1", m.RTMR1, m.Owners.RTMR1},
		{"RTMR2", m.RTMR2, m.Owners.RTMR2}, {"RTMR3", m.RTMR3, m.Owners.RTMR3}}
}

func value(v string) string {
	if v == "" {
		return "not published"
	}
	return code(v)
}

func changed(now row, before string, known bool) string {
	switch {
	case !known:
		return "new"
	case now.value == before:
		return "unchanged"
	case before == "":
		return "new"
	}
	return "was " + code(before) + mover(now.owner)
}

// mover is what the owner of a register tells about its change: nobody else can have made it.
func mover(o measurement.Owner) string {
	switch o {
	case measurement.OwnerPlatform:
		return "; the platform moved (firmware, machine shape or its system)"
	case measurement.OwnerImage:
		return "; the image changed"
	case measurement.OwnerProfile:
		return "; the profile's formula changed"
	}
	return ""
}
