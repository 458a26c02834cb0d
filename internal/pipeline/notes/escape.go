package notes

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/calimero-network/mero-tee/internal/base/reason"
)

// special is every mark that Markdown may take for markup anywhere in a line.
const special = "\\`*_[]<>|~&$"

// escape shows text literally in Markdown, on one line, behind other text. What is not printed or has no width, and
// could hide or reorder text, is dropped.
func escape(s string) string {
	var words []string
	for _, word := range strings.FieldsFunc(s, unicode.IsSpace) {
		if w := escapeWord(printed(word)); w != "" {
			if len(words) == 0 {
				w = unmarked(w)
			}
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// printed is a word without what is invisible.
func printed(word string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && !reason.Invisible(r) {
			return r
		}
		return -1
	}, word)
}

func escapeWord(word string) string {
	if linked.MatchString(word) {
		said := strings.TrimRight(word, ",.;!?)")
		return literal(said) + word[len(said):]
	}
	var b strings.Builder
	for _, r := range word {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// linked is a word of which GitHub makes a link, a mention, a reference or a picture after Markdown was read, so that
// no backslash and no entity prevents it; it leaves code alone (docs.github.com, "Autolinked references and URLs",
// "Mentioning people and teams", "Using emoji"; GFM 6.9, autolinks). A repository may have prefixes of its own, such as
// TICKET-123, that lead wherever it says: all words of that form are code.
var linked = regexp.MustCompile(`(?i)@|#|:/|www\.|mailto:|xmpp:|\b[a-z][a-z0-9]*-\d|\bGHSA-|` +
	`\b[0-9a-f]{7,}\b|:[a-z0-9_+-]+:`)

// literal is a word in a code span, whose fence is longer than any within it. A code span shows a backslash as it is.
func literal(word string) string {
	longest := 0
	for _, run := range backticks.FindAllString(word, -1) {
		longest = max(longest, len(run))
	}
	fence := strings.Repeat("`", longest+1)
	if strings.HasPrefix(word, "`") || strings.HasSuffix(word, "`") {
		word = " " + word + " " // CommonMark strips one space on either side
	}
	return fence + word + fence
}

var backticks = regexp.MustCompile("`+")

// What makes a heading, a list or a rule of a line, when it stands first.
var marker = regexp.MustCompile(`^(?:[-+=]|[0-9]{1,9}[.)])`)

// unmarked is a line's first word without a meaning of its own.
func unmarked(word string) string {
	at := marker.FindString(word)
	if at == "" {
		return word
	}
	return word[:len(at)-1] + "\\" + word[len(at)-1:]
}

// code is a code span; what is not a plain identifier is escaped instead.
func code(s string) string {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._/:@", r))
	}
	if s == "" || strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) >= 0 {
		return escape(s)
	}
	return "`" + s + "`"
}
