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
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// MaxSize is GitHub's limit of a release's body, in characters.
const MaxSize = 125_000

// Input is all that notes are made of. What people wrote for this release
// (Summary, Breaking, Upgrade) is taken as Markdown; commits are not.
type Input struct {
	Repository  string // "owner/name"
	Tag         release.Tag
	Class       release.Class // empty: what the version alone says
	Previous    *release.Tag  // the family's release before it; nil in the first
	Counterpart *release.Tag  // the compatible release of the other family; nil when there is none yet
	Banner      string        // one line that the environment wants on top; empty in production
	Commits     []git.Entry   // since Previous
	Summary     string        // Markdown: what a hotfix must explain (incident, exact change, rollback); may be empty
	Breaking    string        // Markdown; empty: what the commits say
	Upgrade     string        // Markdown; empty: the standard path
	Waivers     []string      // of TCB statuses: where, what, until when, why

	Measurements []Measurement
	Before       []Measurement // of Previous, to tell what changed
	Images       []Image
}

// Measurement is one profile's registers as they are published: 96 hex digits,
// or empty for a register that is not published. The owners, where they are
// known, say why a register changed.
type Measurement struct {
	Profile                          string
	MRTD, RTMR0, RTMR1, RTMR2, RTMR3 string
	Owners                           measurement.Owners
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
	fmt.Fprintf(&b, "%s %s, a %s.\n", title(in.Tag.Family), in.Tag.Version, description(in.class()))
	if in.Summary != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(in.Summary))
	}
	brief := in.class() == release.Candidate // "release notes can be abbreviated"
	section(&b, "Changes", changes(in))
	if !brief || in.Breaking != "" {
		section(&b, "Breaking changes", breaking(in))
	}
	if !brief || in.Upgrade != "" {
		section(&b, "Upgrade", upgrade(in))
	}
	section(&b, "Compatible with", counterpart(in))
	section(&b, "Measurements", measurements(in))
	section(&b, "Images", images(in))
	if len(in.Waivers) > 0 { // also in brief notes: it is a risk that somebody takes
		section(&b, "TCB waivers", waivers(in))
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

func counterpart(in Input) string {
	if in.Counterpart == nil {
		return fmt.Sprintf("No release of %s yet.\n", in.Tag.Family.Counterpart())
	}
	return fmt.Sprintf("[%s](https://github.com/%s/releases/tag/%s)\n", in.Counterpart, in.Repository, in.Counterpart)
}

func waivers(in Input) string {
	var b strings.Builder
	b.WriteString("Machines in these states are accepted for a while, although Intel has newer firmware for them:\n\n")
	for _, w := range in.Waivers {
		fmt.Fprintf(&b, "- %s\n", escape(w))
	}
	return b.String()
}

func images(in Input) string {
	if len(in.Images) == 0 {
		return "None.\n"
	}
	var b strings.Builder
	for _, image := range in.Images {
		fmt.Fprintf(&b, "- %s: %s\n", code(image.Profile), code(image.Reference))
	}
	return b.String()
}

// Previous is the family's highest release below tag among a repository's tags.
// A stable release looks back to the last stable one, so that nothing that only
// candidates announced is left out.
func Previous(tag release.Tag, tags []string) *release.Tag {
	before := release.Highest(tag.Family, slices.Values(tags), func(v release.Version) bool {
		return v.Compare(tag.Version) < 0 && !(tag.Stable() && v.IsCandidate())
	})
	if before.IsZero() {
		return nil
	}
	return &before
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
		fmt.Fprintf(&b, "### %s\n\n| register | value | change |\n|---|---|---|\n", code(m.Profile))
		was := old.rows()
		for j, row := range m.rows() {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", row.name, value(row.value), changed(row, was[j].value, known))
		}
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
	return "was " + code(before) + reason(now.owner)
}

// reason is what the owner of a register tells about its change: nobody else can have made it.
func reason(o measurement.Owner) string {
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
