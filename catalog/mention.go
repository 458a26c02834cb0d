package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Mention is the line of Markdown with which a release's notes say what is new:
// "- mero-kms-v1.2.0 with mero-tee-v1.1.0: tested in debug, locked-read-only".
func (a Addition) Mention() string {
	kms, node := a.Tags()
	says := "declared, not tested yet"
	if len(a.Tested) > 0 {
		says = "tested in " + release.ProfileList(a.Tested)
	}
	return fmt.Sprintf("- %s with %s: %s", kms, node, says)
}

// MentionedIn says whether a text mentions the addition: one item or paragraph
// names both tags, and each profile that became tested. What a comment says,
// or the definition of a link, nobody reads.
func (a Addition) MentionedIn(markdown string) bool {
	kms, node := a.Tags()
	words := []string{kms.String(), node.String()}
	for _, p := range a.Tested {
		words = append(words, string(p))
	}
	return slices.ContainsFunc(items(markdown), func(item string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !hasWord(item, word) })
	})
}

var (
	hidden = regexp.MustCompile(`(?s)<!--.*?(?:-->|$)|(?m-s:^[ \t>*+-]*\[[^\]\n^][^\]\n]*\]:.*$)`)
	starts = regexp.MustCompile(`^\s*(?:[-*+#|>]|\d+[.)]|$)`)
)

// items cuts Markdown into list items, rows, headings and paragraphs, each in one line.
func items(markdown string) []string {
	var out []string
	for line := range strings.SplitSeq(hidden.ReplaceAllString(markdown, ""), "\n") {
		if len(out) == 0 || starts.MatchString(line) {
			out = append(out, line)
			continue
		}
		out[len(out)-1] += " " + line
	}
	return out
}

// hasWord finds a tag or a profile that is not a part of a longer one: 1.1.0 is
// not 1.1.0-rc.1, debug is not debug-read-only.
func hasWord(text, word string) bool {
	form := regexp.MustCompile(`(?:^|[^A-Za-z0-9.-])` + regexp.QuoteMeta(word) + `(?:$|[^A-Za-z0-9.-]|[.-](?:\s|$))`)
	return form.MatchString(text)
}
