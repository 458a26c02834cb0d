package notes

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/release"
)

var todo = regexp.MustCompile(`\b(TODO|TBD|FIXME)\b`)

// says tells whether the text shows a word of its own, not only headings, images and marks.
func says(text string) bool { return strings.ContainsFunc(reason.Visible(shown(text)), alphanumeric) }

// denies tells whether the text, sentence by sentence, says no more than that there is nothing.
func denies(text string) bool { return reason.Denies(shown(text)) }

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// unwritten is the first line that is a placeholder or the template's own, with its TODO or without, or the template's
// words wherever lines were broken. What stands for words to come does so where a paragraph or an item begins.
func unwritten(text string, c release.Class) string {
	stock := stock(c)
	begins := true
	for line := range strings.SplitSeq(text, "\n") {
		said, bare := essence(line), item.ReplaceAllString(todo.ReplaceAllString(line, ""), "")
		later := reason.Placeholder(bare) || (begins || item.MatchString(line)) && reason.Later(bare)
		if todo.MatchString(line) || later || slices.Contains(stock, said) {
			return strings.TrimSpace(line)
		}
		begins = strings.TrimSpace(line) == ""
	}
	whole := " " + essence(shown(text)) + " "
	for _, s := range stock {
		if strings.Contains(whole, " "+s+" ") {
			return s
		}
	}
	return ""
}

var item = regexp.MustCompile(`^[ \t]*(?:[-*+>|]|[0-9]{1,9}[.)])`)

// stock are the words of the class's template that are to be written over: its lines, and what follows TODO in them.
func stock(c release.Class) []string {
	template, _ := releases.Template(c, release.Tag{}) // a class without a template has no stock
	var out []string
	for line := range strings.SplitSeq(template, "\n") {
		if at := todo.FindStringIndex(line); at != nil {
			out = append(out, essence(line), essence(line[at[1]:]))
		}
	}
	return out
}

// essence is a line in small letters, without its placeholder, its marks and what is invisible.
func essence(line string) string { return reason.Essence(todo.ReplaceAllString(line, "")) }

var (
	cve      = regexp.MustCompile(`\bCVE-(?:1999|20[0-9]{2})-[0-9]{4,19}\b`)
	advisory = regexp.MustCompile(`\bGHSA(?:-[23456789cfghjmpqrvwx]{4}){3}\b`)
	// An incident's id says that it is one: UTF-8, SHA-256 and RFC-2119 have the same form.
	incident = regexp.MustCompile(
		`(?:^|[^A-Za-z0-9-])(?:INC|INCIDENT|SEC|SECURITY|REHEARSAL)[A-Z0-9]{0,8}-[0-9]{1,12}(?:$|[^A-Za-z0-9-])`)
	address = regexp.MustCompile(`https://[^\s<>()\[\]"'` + "`" + `]+`)
)

// refers says whether what a reader sees of the text, or can follow, names a CVE, an advisory, an incident's id or its
// address.
func refers(text string) bool {
	text = shown(text) + " " + strings.Join(destinations(text), " ")
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
