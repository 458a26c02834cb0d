package help

import (
	"go/doc"
	"strings"
)

// read takes a target's comment apart. It is written so:
//
//	Name does something. And more of it,
//	on as many lines as it takes.
//
//		TAG         what the argument means,
//		            on more lines when it must
//		-flag=P     the same
//
//	Needs: …
//	Leaves: …
//	See: docs/page.md
//	Example: go tool mage …
//
// All but the first sentence may be missing; what is in no part is in More.
func read(function, comment string) Target {
	var t Target
	var prose strings.Builder
	part := &t.More
	for line := range strings.Lines(comment) {
		text := strings.TrimSpace(line)
		name, rest, _ := strings.Cut(text, ": ")
		switch {
		case strings.HasPrefix(line, "\t"):
			t.argument(strings.TrimPrefix(strings.TrimRight(line, "\n"), "\t"))
		case name == "Needs":
			t.Needs, part = rest, &t.Needs
		case name == "Leaves":
			t.Leaves, part = rest, &t.Leaves
		case name == "See":
			t.See, part = rest, &t.See
		case name == "Example":
			t.Examples, part = append(t.Examples, rest), &t.More
		case part != &t.More && text != "":
			*part += " " + text
		case text == "":
			part = &t.More
		default:
			prose.WriteString(" " + text)
		}
	}
	t.prose(function, strings.TrimSpace(prose.String()))
	return t
}

// prose is the first sentence, as Mage finds it, and the rest.
func (t *Target) prose(function, text string) {
	var p doc.Package
	first := p.Synopsis(text)
	t.Does, t.More = first, strings.TrimSpace(strings.TrimPrefix(text, first))
	if word, rest, found := strings.Cut(first, " "); found && strings.EqualFold(word, function) {
		t.Does = rest
	}
}

// argument takes a line of the arguments: a form and its meaning, or more of the meaning before it.
func (t *Target) argument(line string) {
	form, means, _ := strings.Cut(line, " ")
	means = strings.TrimSpace(means)
	if form == "" && len(t.Arguments) > 0 {
		last := &t.Arguments[len(t.Arguments)-1]
		last.Means += " " + means
		return
	}
	t.Arguments = append(t.Arguments, Argument{form, means})
}
