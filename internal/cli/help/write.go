package help

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Width is how many columns are written where nobody knows how many there are, and the most that are.
const Width = 100

// narrowest is what is written for still narrower terminals, which then break the lines themselves.
const narrowest = 40

// Within is how many columns to write on a terminal that has so many; 0: unknown.
func Within(columns int) int {
	return max(narrowest, min(cmp.Or(columns, Width), Width))
}

// WriteList writes every target with its sentence, in groups, in lines of at most width columns.
func (m *Manual) WriteList(w io.Writer, width int) error {
	var b strings.Builder
	for text := range strings.SplitSeq(m.About, "\n\n") {
		b.WriteString(wrap(text, width, "", "") + "\n\n")
	}
	column := 0
	for _, t := range m.Targets {
		column = max(column, utf8.RuneCountInString(t.Name)+4)
	}
	if column > width/2 { // no room for two columns
		column = 4
	}
	for _, g := range m.Groups() {
		b.WriteString(g.Title + "\n")
		for _, t := range g.Targets {
			b.WriteString(entry("  "+t.Name, strings.TrimSuffix(t.Does, "."), column, width) + "\n")
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, strings.TrimSuffix(b.String(), "\n"))
	return err
}

// Write writes all that is known of a target, in lines of at most width columns.
func (t *Target) Write(w io.Writer, width int) error {
	var b strings.Builder
	b.WriteString(wrap(t.Name+" "+t.Does+" "+t.More, width, "", "") + "\n\n")
	b.WriteString(entry("Usage:", "go tool mage "+t.Usage(), 9, width) + "\n")
	column := 0
	for _, a := range t.Arguments {
		column = max(column, utf8.RuneCountInString(a.Form)+4)
	}
	for i, a := range t.Arguments {
		if i == 0 {
			b.WriteString("\n")
		}
		b.WriteString(entry("  "+a.Form, a.Means, min(column, width/2), width) + "\n")
	}
	b.WriteString("\n")
	for _, part := range [][2]string{{"Needs:", t.Needs}, {"Leaves:", t.Leaves}, {"See:", t.See},
		{"Example:", strings.Join(t.Examples, "\n")}, {"Alias:", strings.Join(t.Aliases, ", ")}} {
		for text := range strings.Lines(part[1]) {
			b.WriteString(entry(part[0], strings.TrimSpace(text), 9, width) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Usage is the target with its arguments, those that may be missing in brackets.
func (t *Target) Usage() string {
	words := []string{t.Name}
	for _, a := range t.Arguments {
		if strings.HasPrefix(a.Form, "-") && !strings.HasPrefix(a.Means, "required") {
			words = append(words, "["+a.Form+"]")
		} else {
			words = append(words, a.Form)
		}
	}
	return strings.Join(words, " ")
}

// entry is a name, and from a column on what it means; on a line of its own when it is as long as that.
func entry(name, text string, column, width int) string {
	margin := strings.Repeat(" ", column)
	if used := utf8.RuneCountInString(name); used < column {
		return wrap(text, width, fmt.Sprintf("%s%*s", name, column-used, ""), margin)
	}
	return name + "\n" + wrap(text, width, margin, margin)
}

// wrap breaks text into lines of at most width columns, the first after first, the others after rest. A word that is
// wider stays whole.
func wrap(text string, width int, first, rest string) string {
	var b strings.Builder
	line, used := first, 0
	for _, word := range strings.Fields(text) {
		if used > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line, used = rest, 0
		}
		if used > 0 {
			line += " "
		}
		line += word
		used++
	}
	b.WriteString(strings.TrimRight(line, " "))
	return b.String()
}
