package guard

import "strings"

// tokens are the expressions of a text, each of which one private character
// stands for, so that the shell's rules do not read them.
type tokens []string

const firstToken, lastToken = 0xE000, 0xF000

// tokenize puts characters in the place of the expressions; past the last one they stay as they are.
func tokenize(text string) (string, tokens) {
	var t tokens
	text = strings.Map(func(r rune) rune {
		if r >= firstToken && r <= 0xF8FF { // private characters of the text itself
			return -1
		}
		return r
	}, text)
	return expression.ReplaceAllStringFunc(text, func(e string) string {
		if firstToken+len(t) >= lastToken {
			return e
		}
		t = append(t, e)
		return string(rune(firstToken + len(t) - 1))
	}), t
}

// restore puts the expressions back.
func (t tokens) restore(text string) string {
	var b strings.Builder
	for _, r := range text {
		if i := int(r) - firstToken; i >= 0 && i < len(t) {
			b.WriteString(t[i])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
