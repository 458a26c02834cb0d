package notes

import (
	"regexp"
	"strings"
)

// block is a level-two heading with what follows; the first one is what comes before any heading.
type block struct{ heading, text string }

var (
	sectionHeading = regexp.MustCompile(`^ {0,3}##[ \t]+(.*?)(?:[ \t]+#*)?[ \t]*$`)
	codeFence      = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})(.*)$")
)

// splitter walks over the lines of a file. Within a code block nothing is a
// heading and nothing a comment.
type splitter struct {
	blocks  []block
	fence   string // what closes the code block that is open
	comment bool   // a comment is open
}

// split drops comments and cuts the text at its level-two headings. What is
// left open would swallow the generated part of the notes, so it is refused.
func split(text string) ([]block, error) {
	s := splitter{blocks: []block{{}}}
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		s.line(line)
	}
	switch {
	case s.comment:
		return nil, broken("a comment is not closed", "-->", "the end of the file")
	case s.fence != "":
		return nil, broken("a code block is not closed", s.fence, "the end of the file")
	}
	return s.blocks, nil
}

func (s *splitter) line(line string) {
	last := &s.blocks[len(s.blocks)-1]
	if s.fence != "" {
		if m := codeFence.FindStringSubmatch(line); m != nil && strings.HasPrefix(m[1], s.fence) &&
			strings.TrimSpace(m[2]) == "" {
			s.fence = ""
		}
		last.text += line + "\n"
		return
	}
	line = s.uncommented(line)
	if m := sectionHeading.FindStringSubmatch(line); m != nil {
		s.blocks = append(s.blocks, block{heading: m[1]})
		return
	}
	// An info string with a backtick makes it a code span of one line.
	if m := codeFence.FindStringSubmatch(line); m != nil && !(m[1][0] == '`' && strings.Contains(m[2], "`")) {
		s.fence = m[1]
	}
	last.text += line + "\n"
}

// uncommented is the line without its comments, which may go on in the next lines.
func (s *splitter) uncommented(line string) string {
	var b strings.Builder
	for {
		if s.comment {
			_, rest, closed := strings.Cut(line, "-->")
			if !closed {
				return b.String()
			}
			line, s.comment = rest, false
		}
		before, rest, opened := strings.Cut(line, "<!--")
		b.WriteString(before)
		if !opened {
			return b.String()
		}
		line, s.comment = rest, true
	}
}
