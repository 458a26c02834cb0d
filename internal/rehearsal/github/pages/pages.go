// Package pages shows the local GitHub to a browser: releases, tags, pull
// requests, commits and what checks said of them, under github.com's own paths.
//
// Its promise: a page asks nobody for anything but what it links to, runs no
// script, and shows what others wrote as text, whatever that is. Its links lead
// to the repository's other pages on the host that served it.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/yuin/goldmark"

	"github.com/calimero-network/mero-tee/internal/base/console"
)

//go:embed layout.html style.css
var files embed.FS

// Site writes the pages of one repository. The zero value is not usable: call New.
type Site struct {
	repository string // "owner/name"
	style      template.CSS
	policy     string // Content-Security-Policy
	layout     *template.Template
	markdown   goldmark.Markdown
}

// New is a site for the repository "owner/name".
func New(repository string) (*Site, error) {
	style, err := files.ReadFile("style.css")
	if err != nil {
		return nil, err
	}
	s := &Site{repository: repository, policy: Policy(style), markdown: newMarkdown(repository),
		style: template.CSS(style)} //nolint:gosec // our own file
	s.layout, err = template.New("layout.html").Funcs(s.functions()).ParseFS(files, "layout.html")
	return s, err
}

// Policy is the Content-Security-Policy of pages with this style: nothing but
// that style and the empty picture that stands for an icon.
func Policy(style []byte) string {
	sum := sha256.Sum256(style)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// Guard sets the headers that keep an answer to itself, whatever is in it.
func (s *Site) Guard(h http.Header) {
	h.Set("Content-Security-Policy", s.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // a release changes while it is made
}

// Page is one page: a title and one of this package's contents.
type Page struct {
	Title   string
	Content any
}

// Write answers with a page.
func (s *Site) Write(w http.ResponseWriter, status int, p Page) {
	body, err := s.render(p)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.Guard(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone; nothing to do
}

// render leaves no control, direction or invisible character of others in the
// page, which could make text look like another.
func (s *Site) render(p Page) ([]byte, error) {
	var page, out bytes.Buffer
	err := s.layout.Execute(&page, struct {
		Page

		Kind string
	}{p, kind(p.Content)})
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(page.Bytes()) {
		out.WriteString(console.Safe(string(bytes.TrimRight(line, "\n"))) + "\n")
	}
	return out.Bytes(), nil
}

// kind is the name of a content's template: "releases" for a Releases.
func kind(content any) string {
	name := fmt.Sprintf("%T", content)
	return strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
}

func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"style":      func() template.CSS { return s.style },
		"repository": func() string { return s.repository },
		"path":       s.path,
		"markdown":   s.Markdown,
		"short":      func(sha string) string { return sha[:min(len(sha), 10)] },
		"number":     console.Number,
		"when":       when,
		"clean":      clean,
		"subject":    func(message string) string { first, _, _ := strings.Cut(message, "\n"); return first },
	}
}

// path is the address of a page below the repository's own.
func (s *Site) path(rest ...any) string {
	path := "/" + s.repository + "/"
	for _, part := range rest {
		path += fmt.Sprint(part)
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// when is a time of RFC 3339 for people.
func when(stamp string) string {
	return strings.Replace(strings.Replace(stamp, "T", " ", 1), "Z", " UTC", 1)
}

// clean is text of several lines, each as long as it looks.
func clean(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\t", "    ")
}
