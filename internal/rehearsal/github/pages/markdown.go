package pages

import (
	"bytes"
	"html/template"
	"net/url"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

// newMarkdown reads Markdown as GitHub does in notes and bodies: CommonMark with
// GitHub's extensions, each line's end a break. What GitHub does afterwards is
// left out: mentions, references, emoji.
func newMarkdown(repository string) goldmark.Markdown {
	table := extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)) // no style=
	return goldmark.New(
		goldmark.WithExtensions(table, extension.Strikethrough, extension.Linkify, extension.TaskList),
		goldmark.WithRendererOptions(html.WithHardWraps(),
			renderer.WithNodeRenderers(util.Prioritized(&plain{repository}, 1))))
}

// Markdown shows a text of others: HTML in it as text, pictures by their
// descriptions, and links only where they lead to the web.
func (s *Site) Markdown(source string) (template.HTML, error) {
	var out bytes.Buffer
	err := s.markdown.Convert([]byte(clean(source)), &out)
	return template.HTML(out.String()), err //nolint:gosec // plain's and goldmark's own markup; fuzzed
}

// plain renders what goldmark would trust, or would drop.
type plain struct{ repository string }

// RegisterFuncs takes the place of goldmark's own functions.
func (p *plain) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindLink, p.link)
	r.Register(ast.KindAutoLink, p.autoLink)
	r.Register(ast.KindImage, p.image)
	r.Register(ast.KindRawHTML, p.rawHTML)
	r.Register(ast.KindHTMLBlock, p.htmlBlock)
}

// target is where a link may lead, escaped for an attribute: the web, and the
// repository's own pages by their paths alone. "" is nowhere: javascript:,
// data:, a path of nothing.
func (p *plain) target(destination []byte) string {
	u, err := url.Parse(strings.TrimSpace(string(destination)))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	if rest, own := strings.CutPrefix(u.Path, "/"+p.repository); own && u.Host == "github.com" &&
		(rest == "" || strings.HasPrefix(rest, "/")) {
		u.Scheme, u.Host = "", ""
	}
	return template.HTMLEscapeString(u.String())
}

func (p *plain) open(w util.BufWriter, destination []byte) bool {
	to := p.target(destination)
	if to == "" {
		return false
	}
	_, _ = w.WriteString(`<a href="` + to + `" rel="nofollow noreferrer noopener">`)
	return true
}

// link shows where a link that leads nowhere wanted to go.
func (p *plain) link(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	destination := n.(*ast.Link).Destination
	switch {
	case entering:
		p.open(w, destination)
	case p.target(destination) != "":
		_, _ = w.WriteString("</a>")
	default:
		_, _ = w.WriteString(" (" + template.HTMLEscapeString(string(destination)) + ")")
	}
	return ast.WalkContinue, nil
}

func (p *plain) autoLink(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	link := n.(*ast.AutoLink)
	opened := link.AutoLinkType == ast.AutoLinkURL && p.open(w, link.URL(source))
	_, _ = w.WriteString(template.HTMLEscapeString(string(link.Label(source))))
	if opened {
		_, _ = w.WriteString("</a>")
	}
	return ast.WalkContinue, nil
}

// image shows a picture's description: a page loads nothing.
func (p *plain) image(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString("[picture: ")
	} else {
		_, _ = w.WriteString("] (" + template.HTMLEscapeString(string(n.(*ast.Image).Destination)) + ")")
	}
	return ast.WalkContinue, nil
}

func (p *plain) rawHTML(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString(template.HTMLEscapeString(string(n.(*ast.RawHTML).Segments.Value(source))))
	}
	return ast.WalkSkipChildren, nil
}

func (p *plain) htmlBlock(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	block := n.(*ast.HTMLBlock)
	text := string(block.Lines().Value(source))
	if block.HasClosure() {
		text += string(block.ClosureLine.Value(source))
	}
	_, _ = w.WriteString("<pre>" + template.HTMLEscapeString(text) + "</pre>\n")
	return ast.WalkContinue, nil
}
