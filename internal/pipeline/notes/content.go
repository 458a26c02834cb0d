package notes

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/release"
)

var (
	todo = regexp.MustCompile(`\b(TODO|TBD|FIXME)\b`)
	// What stands for words that are still to come, in any spelling, at the beginning of a line.
	later = regexp.MustCompile(`(?i)^(?:to ?do|t ?b ?d|fix ?me|to be (?:done|defined|determined|written)|n a|xxx)\b`)
	none  = regexp.MustCompile(`(?i)^(?:none|nothing|no|n a)$`)
)

// says tells whether the text shows a word of its own, not only headings, images and marks.
func says(text string) bool { return strings.ContainsFunc(shown(text), alphanumeric) }

// denies tells whether the text says no more than that there is nothing.
func denies(text string) bool { return none.MatchString(essence(shown(text))) }

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// unwritten is the first line that is a placeholder or the template's own, with its TODO or without.
func unwritten(text string, c release.Class) string {
	stock := stock(c)
	for line := range strings.SplitSeq(text, "\n") {
		if todo.MatchString(line) || later.MatchString(essence(line)) || stock[essence(line)] {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// stock are the lines of the class's template that are to be written over.
func stock(c release.Class) map[string]bool {
	template, _ := releases.Template(c, release.Tag{}) // a class without a template has no stock
	lines := map[string]bool{}
	for line := range strings.SplitSeq(template, "\n") {
		if todo.MatchString(line) {
			lines[essence(line)] = true
		}
	}
	return lines
}

// essence is a line without its placeholder and its marks.
func essence(line string) string {
	return strings.Join(strings.FieldsFunc(todo.ReplaceAllString(line, ""),
		func(r rune) bool { return !alphanumeric(r) }), " ")
}

var (
	cve      = regexp.MustCompile(`\bCVE-(?:1999|20[0-9]{2})-[0-9]{4,19}\b`)
	advisory = regexp.MustCompile(`\bGHSA(?:-[23456789cfghjmpqrvwx]{4}){3}\b`)
	// An incident's id says that it is one: UTF-8, SHA-256 and RFC-2119 have the same form.
	incident = regexp.MustCompile(
		`(?:^|[^A-Za-z0-9-])(?:INC|INCIDENT|SEC|SECURITY|REHEARSAL)[A-Z0-9]{0,8}-[0-9]{1,12}(?:$|[^A-Za-z0-9-])`)
	address = regexp.MustCompile(`https://[^\s<>()\[\]"'` + "`" + `]+`)
)

// refers says whether the text names a CVE, an advisory, an incident's id or its address.
func refers(text string) bool {
	if cve.MatchString(text) || advisory.MatchString(text) || incident.MatchString(text) {
		return true
	}
	for _, a := range address.FindAllString(text, -1) {
		if u, err := url.Parse(a); err == nil && strings.Contains(u.Hostname(), ".") && len(u.Path) > 1 {
			return true
		}
	}
	return false
}
