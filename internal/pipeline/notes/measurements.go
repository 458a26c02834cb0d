package notes

import (
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
)

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
