// Package reason judges the reasons that people must give where a rule lets
// them decide otherwise: a revocation, a promotion without a test, a section of
// the notes.
//
// Its promise: what passes is one line of words that a later reader sees as they
// were written. "None.", "n/a" and "TODO" are no reasons, in any spelling.
package reason

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Max is how long a reason may be, in characters.
const Max = 500

var (
	// What stands for words that are still to come, in any spelling, at the beginning of a text.
	later = regexp.MustCompile(`^(?:` + stillToCome + `)\b`)
	// And as all of it.
	placeholder = regexp.MustCompile(`^(?:` + stillToCome + `)$`)
	// A sentence that says no more than that there is nothing, or that points away from what it should say.
	none = regexp.MustCompile(`^(?:(?:there|it|this) (?:is|are|was|were) )?(?:none|nothing|no|not|nil|null|n ?a|nope|` +
		`unknown|empty|blank|placeholder|ditto|dito|obvious|trivial|because|reason)` +
		`(?: (?:needed|required|necessary|applicable|known|available|yet|at all|here|special|else|reason|change|changes|` +
		`rollback|roll back|way back|to (?:say|do|add|tell|note|explain|roll back|declare|report)))*$|` +
		`^(?:see|same as|as) (?:above|below|before|the (?:diff|commit|log|code|title|template))$`)
)

const stillToCome = `to ?do|t ?b ?[acd]|fix ?me|w ?i ?p|work in progress|coming soon|to follow|n a|x{3,}|lorem ipsum|` +
	`to be (?:added|announced|completed|confirmed|decided|defined|determined|done|filled in|provided|supplied|written)`

// Denies tells whether the text, sentence by sentence, says no more than that there is nothing.
func Denies(text string) bool {
	if none.MatchString(Essence(text)) {
		return true
	}
	sentences := strings.FieldsFunc(Visible(text), func(r rune) bool { return strings.ContainsRune(".!?;,:()|\n", r) })
	return !slices.ContainsFunc(sentences, func(s string) bool {
		s = Essence(s)
		return s != "" && !none.MatchString(s) && !later.MatchString(s)
	})
}

// Later tells whether the text begins with what stands for words that are still to come.
func Later(text string) bool { return later.MatchString(Essence(text)) }

// Placeholder tells whether the text is nothing but that: "to do so first" may be how a line goes on.
func Placeholder(text string) bool { return placeholder.MatchString(Essence(text)) }

// Invisible are characters of no width, which make one word look like another, or nothing like a word: U+2060, joiners,
// variation selectors, direction marks, and fillers that Unicode counts as letters.
func Invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Visible is the text without what nobody sees.
func Visible(text string) string {
	return strings.Map(func(r rune) rune {
		if Invisible(r) {
			return -1
		}
		return r
	}, text)
}

// Essence is a text in small letters, without its marks and what is invisible.
func Essence(text string) string {
	return strings.ToLower(strings.Join(strings.FieldsFunc(Visible(text),
		func(r rune) bool { return !alphanumeric(r) }), " "))
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// Flaw is what keeps the text from being a reason; empty for a good one.
func Flaw(text string) string {
	hidden := func(r rune) bool { return r != ' ' && (!unicode.IsPrint(r) || Invisible(r)) }
	switch {
	case Essence(text) == "":
		return "it says nothing"
	case none.MatchString(Essence(text)):
		return "it says that there is none"
	case Later(text):
		return "it is still to be written"
	case Denies(text):
		return "it says that there is none"
	case !utf8.ValidString(text) || strings.ContainsFunc(text, hidden):
		return "it is not one line of printable text"
	case utf8.RuneCountInString(text) > Max:
		return "it is too long"
	}
	return ""
}

// Check refuses, with code Usage, what is no reason for what is asked.
func Check(what, text string) error {
	flaw := Flaw(text)
	if flaw == "" {
		return nil
	}
	return &fault.Error{Code: fault.Usage, Message: what + " needs a reason, and " + flaw,
		Expected: fmt.Sprintf("why, in one line of at most %d characters, for those who come later", Max),
		Got:      fmt.Sprintf("%.60q", text)}
}
