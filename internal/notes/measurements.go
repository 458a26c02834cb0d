package notes

import (
	"fmt"
	"strings"
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
			fmt.Fprintf(&b, "| %s | %s | %s |\n", row.name, value(row.value), changed(row.value, was[j].value, known))
		}
	}
	return b.String()
}

type row struct{ name, value string }

func (m Measurement) rows() [5]row {
	return [5]row{{"MRTD", m.MRTD}, {"RTMR0", m.RTMR0}, {"RTMR1", m.RTMR1}, {"RTMR2", m.RTMR2}, {"RTMR3", m.RTMR3}}
}

func value(v string) string {
	if v == "" {
		return "not published"
	}
	return code(v)
}

func changed(now, before string, known bool) string {
	switch {
	case !known:
		return "new"
	case now == before:
		return "unchanged"
	case before == "":
		return "new"
	}
	return "was " + code(before)
}
