package console

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Safe returns text in one line that draws nothing but itself: control, direction and invisible characters, and
// bytes that are not UTF-8, are written as Go would in a string. Names of assets, answers of servers and commit
// subjects come from anybody.
func Safe(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

// Number is so many of something, in words: "1 pair", "2 pairs".
func Number(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

// Continued begins each line of a text after its first one, so that none can pass for a line of ours.
const continued = "     | "

// lines is text as the console writes it: safe, its later lines marked. GitHub's runner takes a line for a command if
// it begins with "::" behind any white space, or has "##[" anywhere (actions/runner, ActionCommand.cs).
func lines(text string) string {
	all := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	for i, line := range all {
		line = uncommanded(strings.ReplaceAll(strings.TrimSuffix(line, "\r"), "\t", "    "))
		if i > 0 {
			line = strings.TrimRight(continued+line, " ")
		} else if begins(line) {
			line = "| " + line
		}
		all[i] = line
	}
	return strings.Join(all, "\n")
}

// uncommanded is a safe line with no command in its middle.
func uncommanded(line string) string { return strings.ReplaceAll(Safe(line), "##[", `#\#[`) }

// begins says whether a line begins like a command.
func begins(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "::") }

// Shown are the lines of a text for people, in which others have a say, as they may go to standard output: each draws
// nothing but itself, and none is a command to GitHub's runner, which reads that too.
func Shown(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = uncommanded(strings.TrimSuffix(line, "\n"))
		if begins(line) {
			line = "| " + line
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
