package notes

import (
	"strings"
	"unicode"
)

// breaker is invisible and of no width; it keeps GitHub from making mentions,
// references, emoji and links of text, which a backslash alone does not.
const breaker = '\u2060' // word joiner

// special is every mark that Markdown may take for markup.
const special = "\\`*_{}[])<>#+-.!|~&@$^=:"

// escape shows text literally in Markdown, on one line. Control and direction
// characters, which can hide or reorder text, are dropped.
func escape(s string) string {
	var words []string
	for _, word := range strings.FieldsFunc(s, unicode.IsSpace) {
		if w := escapeWord(word); w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

func escapeWord(word string) string {
	var b strings.Builder
	printable := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, word))
	for i, r := range printable {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if links(printable, i) {
			b.WriteRune(breaker)
		}
	}
	return b.String()
}

// links says whether what follows word[i] could make a link of it: @name, #1, ://, :smile:, www.x.
func links(word []rune, i int) bool {
	switch word[i] {
	case '@', '#':
		return true
	case ':':
		return i+1 < len(word)
	case '.':
		return i >= 3 && strings.EqualFold(string(word[i-3:i]), "www")
	}
	return false
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
