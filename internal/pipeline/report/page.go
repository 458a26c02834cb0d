package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

//go:embed page.html
var layout string

//go:embed page.css
var style string

// WritePage writes report.html. What others wrote is escaped by html/template,
// wherever it stands; and no control, direction or invisible character of
// theirs is left, which could make text look like another.
func (r *Report) WritePage(w io.Writer) error {
	page, err := template.New("page").Funcs(functions()).Parse(layout)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return err
	}
	var out bytes.Buffer
	for line := range bytes.Lines(b.Bytes()) {
		out.WriteString(console.Safe(string(bytes.TrimRight(line, "\n"))) + "\n")
	}
	_, err = w.Write(out.Bytes())
	return err
}

func functions() template.FuncMap {
	return template.FuncMap{
		"style":       func() template.CSS { return template.CSS(style) }, //nolint:gosec // our own file
		"data":        func() string { return pipeline.ReportData },
		"title":       func(t release.Tag) string { return t.Family.Title() + ", version " + t.Version.String() },
		"count":       func(r *Report, s check.Status) int { return r.Count(s) },
		"number":      console.Number,
		"word":        word,
		"mark":        mark,
		"label":       label,
		"failed":      pick(func(r check.Result) bool { return !r.OK() }),
		"open":        pick(func(r check.Result) bool { return r.OK() && r.Status != check.Passed }),
		"passed":      pick(func(r check.Result) bool { return r.Status == check.Passed }),
		"matrix":      matrix,
		"matrixWords": func(c *catalog.Catalog) string { return c.Matrix().Words() },
		"newTopic":    func(f []Fact, i int) bool { return i == 0 || f[i-1].Topic != f[i].Topic },
		"registers":   registers,
		"signer":      signer,
		"stamp":       func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" },
		"short":       func(commit string) string { return commit[:min(len(commit), 10)] },
		"took":        seconds,
		"percent":     func(f float64) string { return fmt.Sprintf("%.2f", f) },
	}
}

// word is a status or a state as the name of a class.
func word(v any) string {
	name := fmt.Sprint(v)
	if name == string(check.Inapplicable) {
		return "na"
	}
	return strings.ReplaceAll(name, " ", "-")
}

// mark says what label says to those who do not read, and neither is told by its colour alone.
func mark(s check.Status) string {
	switch s {
	case check.Passed:
		return "✓"
	case check.Skipped:
		return "–"
	case check.Inapplicable:
		return "·"
	case check.Failed:
	}
	return "✗"
}

func label(s check.Status) string {
	if s == "" {
		return string(check.Failed) // a result without a status is one
	}
	return string(s)
}

func pick(want func(check.Result) bool) func(Judgement) check.Results {
	return func(j Judgement) check.Results {
		var out check.Results
		for _, r := range j.Results {
			if want(r) {
				out = append(out, r)
			}
		}
		return out
	}
}

// matrix is the picture of the catalog as a document of its own, so that its style is its own too.
func matrix(c *catalog.Catalog) template.URL {
	return template.URL("data:image/svg+xml;base64," + //nolint:gosec // base64
		base64.StdEncoding.EncodeToString(c.Matrix().SVG()))
}

// shown is a register as the page shows it: each value once, with the profiles that have it.
type shown struct {
	Name, Owner string
	Values      []value
}

type value struct {
	Register

	Profiles string
}

func registers(r *Report) []shown {
	var out []shown
	for _, p := range r.Profiles {
		for i, register := range p.Registers {
			if i == len(out) {
				out = append(out, shown{Name: register.Name, Owner: register.Owner})
			}
			out[i].add(register, string(p.Name))
		}
	}
	for i := range out {
		if len(out[i].Values) == 1 && len(r.Profiles) > 1 {
			out[i].Values[0].Profiles = "all profiles"
		}
	}
	return out
}

func (s *shown) add(r Register, profile string) {
	for i, v := range s.Values {
		if reflect.DeepEqual(v.Register, r) {
			s.Values[i].Profiles += ", " + profile
			return
		}
	}
	s.Values = append(s.Values, value{r, profile})
}

// signer is the one identity of all signatures; none when there is no signature, all when they differ.
func signer(r *Report) string {
	var out []string
	seen := map[string]bool{}
	for _, a := range r.Assets {
		if a.Signature != nil && !seen[a.Signature.Identity] {
			seen[a.Signature.Identity] = true
			out = append(out, a.Signature.Identity)
		}
	}
	return strings.Join(out, " and as ")
}
