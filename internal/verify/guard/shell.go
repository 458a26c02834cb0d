package guard

import (
	"regexp"
	"strings"
)

// scriptLine is a line of a script; index counts from the script's first line.
type scriptLine struct {
	index int
	text  string
}

func rawLines(script string) []scriptLine {
	var out []scriptLine
	for i, text := range strings.Split(script, "\n") {
		out = append(out, scriptLine{i, text})
	}
	return out
}

// statements are the lines of a sh or bash script as guard 4 reads them:
// comments dropped, continued lines joined, quotes and backslashes removed (so
// that AL"LOWED"_MRTD is seen). When in doubt a line is kept: a comment that is
// taken for code costs a rename, code taken for a comment would be missed.
func statements(script string) []scriptLine {
	var out []scriptLine
	var r reader
	joined := -1 // index of the first line of a continued one
	lines := rawLines(script)
	if strings.Contains(script, "$'") { // other quoting rules: nothing is dropped
		return lines
	}
	for _, l := range lines {
		text := r.read(l.text, joined >= 0)
		continued := strings.HasSuffix(text, `\`)
		text = unquote.Replace(text)
		if joined >= 0 {
			out[len(out)-1].text += text
		} else {
			out = append(out, scriptLine{l.index, text})
		}
		switch {
		case !continued:
			joined = -1
		case joined < 0:
			joined = l.index
		}
	}
	return out
}

var unquote = strings.NewReplacer(`"`, "", `'`, "", `\`, "")

// reader knows what is still open at the end of a line.
type reader struct {
	quote   byte     // ' or " when a quoted string goes on
	pending []string // delimiters of here-documents, whose text has no comments
}

// The first group is a delimiter in quotes, the second one without.
var hereDocument = regexp.MustCompile(`(?:^|[^<])<<-?[ \t]*(?:['"]([^'"]+)['"]|\\?([^\s;&|<>()'"\\]+))`)

func (r *reader) read(line string, joined bool) string {
	if len(r.pending) > 0 {
		if strings.TrimLeft(line, "\t") == r.pending[0] {
			r.pending = r.pending[1:]
		}
		return line
	}
	line = r.code(line, joined)
	for _, m := range hereDocument.FindAllStringSubmatch(line, -1) {
		r.pending = append(r.pending, m[1]+m[2])
	}
	return line
}

// code cuts a comment off the line and notes whether a quote stays open. After
// a command substitution quotes nest, and a joined line may begin within a
// word, so nothing is cut there.
func (r *reader) code(line string, nested bool) string {
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && r.quote != '\'':
			i++
		case c == '`' || strings.HasPrefix(line[i:], "$("):
			nested = true
		case r.quote != 0:
			if c == r.quote {
				r.quote = 0
			}
		case c == '\'' || c == '"':
			r.quote = c
		case c == '#' && !nested && startsWord(line, i):
			return line[:i]
		}
	}
	return line
}

func startsWord(line string, i int) bool {
	return i == 0 || strings.IndexByte(" \t;&|(", line[i-1]) >= 0
}
