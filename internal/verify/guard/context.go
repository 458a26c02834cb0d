package guard

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// reference is the dotted name of a context's value, empty when it is computed.
func reference(n actionlint.ExprNode) string {
	switch n := n.(type) {
	case *actionlint.VariableNode:
		return strings.ToLower(n.Name)
	case *actionlint.ObjectDerefNode:
		if left := reference(n.Receiver); left != "" {
			return left + "." + strings.ToLower(n.Property)
		}
	case *actionlint.IndexAccessNode:
		if key, ok := n.Index.(*actionlint.StringNode); ok && reference(n.Operand) != "" {
			return reference(n.Operand) + "." + strings.ToLower(key.Value)
		}
	}
	return ""
}

var output = regexp.MustCompile(`^(?:steps|needs|jobs)\.[^.]+\.outputs\.(.+)$`)

// lookup lists what a context's value can be. An output is what the file
// assigns to that name, or something that nobody here knows.
func (r *resolver) lookup(name string, depth int) []string {
	name = strings.TrimPrefix(name, "github.event.")
	raw, open := r.values[name], false
	if m := output.FindStringSubmatch(name); m != nil {
		raw, open = slices.Concat(r.values["outputs."+m[1]], r.values["env."+m[1]]), true
	}
	var out []string
	for _, text := range raw {
		r.left--
		texts, ok := r.expand(text, depth+1)
		if !ok || len(out)+len(texts) > maxTexts {
			return []string{unknown}
		}
		out = append(out, texts...)
	}
	if open || len(out) == 0 {
		out = append(out, unknown)
	}
	return out
}
