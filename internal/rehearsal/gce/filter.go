package gce

import (
	"fmt"
	"regexp"
	"strings"
)

// comparison is one of a filter's, such as labels.owner=mero-tee.
type comparison struct {
	field    []string
	operator string
	value    string
}

// filter is the part of the API's language that is served here: comparisons
// with =, != and :* (the field is there), all of which must hold.
type filter []comparison

var comparisonForm = regexp.MustCompile(`^\s*([A-Za-z][\w.-]*)\s*(=|!=|:)\s*(?:"([^"]*)"|'([^']*)'|([^\s()"']+))\s*`)

// parseFilter reads "a=b", `a = "b"`, "(a=b) (c!=d)" and "a=b AND c:*".
func parseFilter(text string) (filter, error) {
	var f filter
	rest := strings.TrimSpace(text)
	for rest != "" {
		var open, closed, and bool
		rest, open = strings.CutPrefix(rest, "(")
		m := comparisonForm.FindStringSubmatch(rest)
		if m == nil || m[2] == ":" && m[5] != "*" {
			return nil, errFilter(text)
		}
		f = append(f, comparison{strings.Split(m[1], "."), m[2], m[3] + m[4] + m[5]})
		rest, closed = strings.CutPrefix(rest[len(m[0]):], ")")
		if open != closed {
			return nil, errFilter(text)
		}
		rest, and = strings.CutPrefix(strings.TrimSpace(rest), "AND ")
		rest = strings.TrimSpace(rest)
		if and && rest == "" || !and && !open && rest != "" {
			return nil, errFilter(text)
		}
	}
	return f, nil
}

func (f filter) admits(resource map[string]any) bool {
	for _, c := range f {
		if !c.holds(resource) {
			return false
		}
	}
	return true
}

func (c comparison) holds(resource map[string]any) bool {
	var value any = resource
	for _, name := range c.field {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	if c.operator == ":" {
		return value != nil
	}
	equal := value != nil && fmt.Sprint(value) == c.value
	return equal == (c.operator == "=")
}
