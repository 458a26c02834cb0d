package notes

import (
	"bytes"
	"html"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// block is a level-two heading with what follows; the first one is what comes before any heading.
type block struct{ heading, text string }

// document reads Markdown as GitHub does: CommonMark with its extensions.
func document(source []byte) ast.Node {
	return goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
}

// split drops comments and cuts the text at its level-two headings. What could hide, swallow or imitate the generated
// part of the notes is refused: HTML, headings elsewhere than at the margin, and what is left open.
func split(written string) ([]block, error) {
	source := []byte(strings.ReplaceAll(written, "\r\n", "\n"))
	source, err := uncommented(source)
	if err != nil {
		return nil, err
	}
	cuts, err := headingsOf(source)
	if err != nil {
		return nil, err
	}
	blocks := []block{{}}
	from := 0
	for _, c := range cuts {
		blocks[len(blocks)-1].text = string(source[from:c.from])
		blocks = append(blocks, block{heading: c.name})
		from = c.to
	}
	blocks[len(blocks)-1].text = string(source[from:])
	for _, b := range blocks {
		if err := closed(b.text); err != nil {
			return nil, err
		}
	}
	return blocks, nil
}

var comment = regexp.MustCompile(`(?s)^\s*<!--.*?-->\s*$`)

// uncommented is the source without its comments. Any other HTML is refused by its own name: GitHub shows some of it,
// drops some, and lets some hide all that follows.
func uncommented(source []byte) ([]byte, error) {
	var out bytes.Buffer
	from := 0
	err := ast.Walk(document(source), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		at, found := htmlOf(n)
		if !found || !entering {
			return ast.WalkContinue, nil
		}
		raw := string(source[at.from:at.to])
		switch {
		case comment.MatchString(raw) && strings.Count(raw, "-->") == 1:
			out.Write(source[from:at.from])
			from = at.to
			return ast.WalkContinue, nil
		case strings.HasPrefix(strings.TrimSpace(raw), "<!--") && !strings.Contains(raw, "-->"):
			return ast.WalkStop, broken("a comment is not closed", "-->", "the end of the file")
		}
		return ast.WalkStop, broken("the notes hold HTML", "Markdown; a comment stands in lines of its own", cut(raw))
	})
	out.Write(source[from:])
	return out.Bytes(), err
}

// span is a range of bytes of the source.
type span struct {
	from, to int
	name     string // of a heading
}

// htmlOf is where a node's HTML stands, if it is HTML.
func htmlOf(n ast.Node) (span, bool) {
	var lines *text.Segments
	switch n := n.(type) {
	case *ast.RawHTML:
		lines = n.Segments
	case *ast.HTMLBlock:
		lines = text.NewSegments()
		lines.AppendAll(n.Lines().Sliced(0, n.Lines().Len()))
		if n.HasClosure() {
			lines.Append(n.ClosureLine)
		}
	default:
		return span{}, false
	}
	return span{from: lines.At(0).Start, to: lines.At(lines.Len() - 1).Stop}, lines.Len() > 0
}

var sectionHeading = regexp.MustCompile(`^ {0,3}##[ \t]+(.*?)(?:[ \t]+#*)?[ \t]*$`)

// headingsOf are the level-two headings with their lines. Level one is the title's, at the top, alone.
func headingsOf(source []byte) (cuts []span, err error) {
	root := document(source)
	err = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		h, ok := n.(*ast.Heading)
		if !ok || !entering || h.Level > 2 || (h.Level == 1 && n == root.FirstChild()) {
			return ast.WalkContinue, nil
		}
		if h.Lines().Len() == 0 {
			return ast.WalkStop, broken("a heading has no text", "## and a section's name", strings.Repeat("#", h.Level))
		}
		at := lineAround(source, h.Lines().At(0).Start)
		line := string(source[at.from:at.to])
		m := sectionHeading.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if h.Parent() != root || h.Level != 2 || m == nil {
			return ast.WalkStop, broken("a heading that is no section's", "## and a section's name, at the margin", cut(line))
		}
		at.name = m[1]
		cuts = append(cuts, at)
		return ast.WalkContinue, nil
	})
	return cuts, err
}

// lineAround is the line in which a byte stands, with its end.
func lineAround(source []byte, i int) span {
	end := bytes.IndexByte(source[i:], '\n')
	if end < 0 {
		end = len(source) - i - 1
	}
	return span{from: bytes.LastIndexByte(source[:i], '\n') + 1, to: i + end + 1}
}

// follower is what would come next: a heading of the generated part.
const follower = "generated"

// closed says whether a heading that follows the text is still one, at the margin: nothing is left open.
func closed(written string) error {
	last := document([]byte(written + "\n\n## " + follower + "\n")).LastChild()
	if h, ok := last.(*ast.Heading); ok && h.Level == 2 {
		return nil
	}
	if _, ok := last.(*ast.FencedCodeBlock); ok {
		return broken("a code block is not closed", "its fence", "the end of the section")
	}
	return broken("the text swallows what follows it", "text that ends", cut(written))
}

// shown is the text that a reader sees, without headings, images and the definitions of links.
func shown(written string) string {
	source := []byte(written)
	var b strings.Builder
	_ = ast.Walk(document(source), func(n ast.Node, entering bool) (ast.WalkStatus, error) { // it returns no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading, *ast.Image, *ast.HTMLBlock, *ast.RawHTML:
			return ast.WalkSkipChildren, nil
		case *ast.Text:
			b.WriteString(html.UnescapeString(string(n.Value(source))) + " ")
		case *ast.AutoLink:
			b.Write(n.Label(source))
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			b.Write(n.Lines().Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// destinations are where the links lead that a reader can follow.
func destinations(written string) (out []string) {
	root := document([]byte(written))
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // it returns no error
		if link, ok := n.(*ast.Link); ok && entering && link.HasChildren() {
			out = append(out, string(link.Destination))
		}
		return ast.WalkContinue, nil
	})
	return out
}
