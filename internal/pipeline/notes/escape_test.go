package notes_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// ours are the addresses of the links that the notes make themselves.
const ours = "https://github.com/o/r/"

// linkable is what GitHub makes links, mentions, references and emoji of, in text that is neither code nor a link.
var linkable = regexp.MustCompile(
	`(?i)@[a-z0-9]|#\d|\b[a-z][a-z0-9]*-\d|\bghsa-|\b[0-9a-f]{7,40}\b|:[a-z0-9_+-]+:|://|\bwww\.|mailto:|xmpp:`)

// rendered is the notes as GitHub reads them: what would be more than text, and the text outside of code and links.
func rendered(t *testing.T, source string) (more []string, said string) {
	t.Helper()
	data := []byte(source)
	var plain strings.Builder
	err := ast.Walk(goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(data)),
		func(n ast.Node, entering bool) (ast.WalkStatus, error) {
			if !entering {
				return ast.WalkContinue, nil
			}
			switch n := n.(type) {
			case *ast.CodeSpan:
				plain.WriteString(" ")
				return ast.WalkSkipChildren, nil
			case *ast.Link:
				if !strings.HasPrefix(string(n.Destination), ours) {
					more = append(more, "link "+string(n.Destination))
				}
				return ast.WalkSkipChildren, nil
			case *ast.AutoLink, *ast.Image, *ast.RawHTML, *ast.HTMLBlock, *ast.Emphasis, *ast.Blockquote, *ast.CodeBlock:
				more = append(more, n.Kind().String())
			case *ast.Heading:
				more = append(more, "heading "+string(n.Lines().Value(data)))
			case *ast.Text:
				plain.Write(util.UnescapePunctuations(n.Value(data))) // a backslash is not seen, and parts no words
			case *ast.Paragraph, *ast.TextBlock, *ast.ListItem:
				plain.WriteString("\n")
			}
			return ast.WalkContinue, nil
		})
	require.NoError(t, err)
	return more, plain.String()
}

// saying are notes in which text from outside stands wherever it may.
func saying(s string) notes.Input {
	s = strings.ToValidUTF8(s, "?")
	previous := release.Tag{Family: release.KMS, Version: release.Version{Minor: 9}}
	return notes.Input{Repository: "o/r", Tag: release.Tag{Family: release.KMS, Version: release.Version{Major: 1}},
		Previous: &previous,
		Commits: []git.Entry{{Hash: strings.Repeat("0", 40), Subject: s, Author: s},
			{Hash: strings.Repeat("1", 40), Subject: "feat!: " + s, Author: "x " + s, PR: 7}},
		Waivers: []string{s}, Facts: []posture.Fact{{Topic: posture.TCB, Text: s}},
		Measurements: []notes.Measurement{{Profile: "debug"}}, Before: []notes.Measurement{{Profile: "debug"}},
		Causes: []notes.Cause{{Profile: "debug", Register: "RTMR1", Event: s}},
		Images: []notes.Image{{Profile: "debug", Reference: s}}}
}

func innocent(t *testing.T, s string) {
	t.Helper()
	got := notes.Generate(saying(s))
	require.Negative(t, strings.IndexFunc(got, func(r rune) bool {
		return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
			unicode.IsControl(r) && r != '\n'
	}), "%q", got)
	more, said := rendered(t, got)
	plain, _ := rendered(t, notes.Generate(saying("x")))
	require.Equal(t, plain, more, "%q", s)
	require.NotRegexp(t, linkable, said, "%q", s)
}

func TestTextFromOutsideIsOnlyText(t *testing.T) {
	t.Parallel()
	for _, s := range append(hostileSubjects(),
		"@admin", "a.@admin", "(@admin)", "`@admin", "``@admin```", "`` `#1 ``", "[@admin", "x@", "@", "#", "#1", "fixes:#1",
		"see 0123456789abcdef0123456789abcdef01234567 and abcdef0", "GHSA-2345-cfgh-jmpq", "gh-7",
		"TICKET-123 (jira2-4)", ":+1: ::x::",
		"measure\u2060ment:\u200bdiff", "@\u2060admin", "\u2060@\u200dadmin", "#\ufe0f1",
		"ww\u00adw.evil.example", "\u3164\u115f",
		"1. one", "12) two", "+ plus", "- minus", "--- ", "=== ", "* star", "_ _", "~~~", "```",
		"> quote", "    code", "\tcode",
		"| a | b |", "[x]: https://evil.example", "[ ] task", "- [x] task",
		"\\@admin", "\\\\`@x`", "a\\", "a `", "$`x`$", "&#x40;admin",
		"mailto:a@b.example xmpp:a@b.example http:/x https:x", "\u202e\u2066x", "tab\there", "line\u2028sep\u0085next") {
		innocent(t, s)
	}
}

// What needs no care is as it was: hidden characters were once written into such subjects.
func TestHarmlessTextIsReadable(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"Show measurement:diff by event":               "- Show measurement:diff by event (",
		"fix(kms): refuse, at 1.2.0-rc.1, what's old!": "- fix(kms): refuse, at 1.2.0-rc.1, what's old! (",
		"Keep 5 = 5 + 0":                               "- Keep 5 = 5 + 0 (",
		"Thank @ann, see #12.":                         "- Thank `@ann`, see `#12`. (",
		"- minus":                                      "- \\- minus (",
		"measure\u2060ment:\u2060diff":                 "- measurement:diff (",
	} {
		require.Contains(t, notes.Generate(saying(s)), want)
	}
}

// Whatever a commit says stays one list item without markup of its own.
func FuzzHostileSubjects(f *testing.F) {
	for _, s := range hostileSubjects() {
		f.Add(s)
	}
	f.Fuzz(innocent)
}
