package guard

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// resolver evaluates expressions by what is known of a file's values.
type resolver struct {
	values values
	left   int // look-ups that may still be made
}

const (
	maxLookups    = 20_000 // of one file
	maxExpression = 4 << 10
)

// expand lists what a text can become once its expressions are evaluated; an
// expression of which nothing is known becomes unknown. It is false when there
// is more than guard 4 follows.
func (r *resolver) expand(text string, depth int) ([]string, bool) {
	out, rest, ok := []string{""}, text, true
	for at := expression.FindStringIndex(rest); at != nil; at = expression.FindStringIndex(rest) {
		if out, ok = product(out, []string{rest[:at[0]]}); ok {
			out, ok = product(out, r.evaluate(rest[at[0]:at[1]], depth))
		}
		if !ok || r.left <= 0 {
			return nil, false
		}
		rest = rest[at[1]:]
	}
	return product(out, []string{rest})
}

func product(heads, tails []string) ([]string, bool) {
	if len(heads)*len(tails) > maxTexts {
		return nil, false
	}
	out := make([]string, 0, len(heads)*len(tails))
	for _, h := range heads {
		for _, t := range tails {
			out = append(out, h+t)
		}
	}
	return out, true
}

// evaluate lists the values of one ${{ expression }}.
func (r *resolver) evaluate(e string, depth int) []string {
	if depth > maxNesting || len(e) > maxExpression {
		return []string{unknown}
	}
	node, err := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(strings.TrimPrefix(e, "${{")))
	if err != nil {
		return []string{unknown}
	}
	return r.node(node, depth)
}

func (r *resolver) node(n actionlint.ExprNode, depth int) []string {
	switch n := n.(type) {
	case *actionlint.StringNode:
		return []string{n.Value}
	case *actionlint.IntNode:
		return []string{strconv.Itoa(n.Value)}
	case *actionlint.LogicalOpNode: // either side may be the value
		return append(r.node(n.Left, depth), r.node(n.Right, depth)...)
	case *actionlint.FuncCallNode:
		return r.call(n, depth)
	}
	return r.lookup(reference(n), depth)
}

// call knows the functions that make text of text.
func (r *resolver) call(n *actionlint.FuncCallNode, depth int) []string {
	args := make([][]string, len(n.Args))
	for i, a := range n.Args {
		args[i] = r.node(a, depth)
	}
	switch name := strings.ToLower(n.Callee); {
	case name == "format" && len(args) > 0:
		return format(args)
	case name == "fromjson" && len(args) == 1:
		return decoded(args[0])
	case (name == "tojson" || name == "join") && len(args) > 0:
		return args[0]
	}
	return []string{unknown}
}

func format(args [][]string) []string {
	out := args[0]
	for i, candidates := range args[1:] {
		hole := fmt.Sprintf("{%d}", i)
		var next []string
		for _, text := range out {
			for _, c := range candidates {
				next = append(next, strings.ReplaceAll(text, hole, c))
			}
		}
		if out = next; len(out) > maxTexts {
			return []string{unknown}
		}
	}
	return out
}

// decoded lists every text within JSON; of anything else nothing is known.
func decoded(texts []string) []string {
	var out []string
	for _, text := range texts {
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			out = append(out, unknown)
			continue
		}
		out = append(out, leaves(value)...)
	}
	return out
}

func leaves(value any) (out []string) {
	switch value := value.(type) {
	case map[string]any:
		for _, v := range value {
			out = append(out, leaves(v)...)
		}
		return out
	case []any:
		for _, v := range value {
			out = append(out, leaves(v)...)
		}
		return out
	}
	return []string{fmt.Sprint(value)}
}
