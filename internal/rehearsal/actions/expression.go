package actions

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// contexts are what an expression can speak of: objects by name, whose values
// are strings, booleans, numbers or objects. What is not there is null.
type contexts map[string]any

// functions are those that depend on how the run goes: success, failure, always and cancelled.
type functions map[string]bool

var embedded = regexp.MustCompile(`\$\{\{(.*?)\}\}`)

// text replaces each ${{ … }} in a value by what it is.
func (c contexts) text(value string, f functions) (string, error) {
	var failed error
	out := embedded.ReplaceAllStringFunc(value, func(whole string) string {
		v, err := c.evaluate(embedded.FindStringSubmatch(whole)[1], f)
		if err != nil {
			failed = fmt.Errorf("%s: %w", whole, err)
		}
		return asString(v)
	})
	return out, failed
}

// statusFunction finds a condition that judges the run itself; to any other, success() is added.
var statusFunction = regexp.MustCompile(`\b(?i:success|failure|always|cancelled)\s*\(`)

// holds is a condition of a job or of a step.
func (c contexts) holds(condition *actionlint.String, f functions) (bool, error) {
	source := ""
	if condition != nil {
		source = strings.TrimSpace(condition.Value)
	}
	if inner, ok := strings.CutPrefix(source, "${{"); ok && strings.Count(source, "${{") == 1 {
		source = strings.TrimSuffix(inner, "}}")
	}
	if !statusFunction.MatchString(source) && !f["success"] {
		return false, nil
	}
	if strings.TrimSpace(source) == "" {
		return true, nil
	}
	v, err := c.evaluate(source, f)
	if err != nil {
		return false, fmt.Errorf("if: %s: %w", source, err)
	}
	return truth(v), nil
}

func (c contexts) evaluate(source string, f functions) (any, error) {
	node, bad := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(source + "}}"))
	if bad != nil {
		return nil, bad
	}
	return (&evaluation{c, f}).of(node)
}

type evaluation struct {
	contexts  contexts
	functions functions
}

func (e *evaluation) of(node actionlint.ExprNode) (any, error) {
	switch n := node.(type) {
	case *actionlint.NullNode:
		return nil, nil
	case *actionlint.BoolNode:
		return n.Value, nil
	case *actionlint.IntNode:
		return float64(n.Value), nil
	case *actionlint.FloatNode:
		return n.Value, nil
	case *actionlint.StringNode:
		return n.Value, nil
	case *actionlint.VariableNode:
		v, known := e.contexts[n.Name]
		if !known {
			return nil, fmt.Errorf("there is no context %s here", n.Name)
		}
		return v, nil
	case *actionlint.ObjectDerefNode:
		v, err := e.of(n.Receiver)
		return property(v, n.Property), err
	case *actionlint.NotOpNode:
		v, err := e.of(n.Operand)
		return !truth(v), err
	case *actionlint.LogicalOpNode:
		return e.logical(n)
	case *actionlint.CompareOpNode:
		return e.comparison(n)
	case *actionlint.FuncCallNode:
		return e.call(n)
	}
	return nil, fmt.Errorf("an expression of the kind %T is not known here", node)
}

// logical gives one of the operands and not a boolean.
func (e *evaluation) logical(n *actionlint.LogicalOpNode) (any, error) {
	left, err := e.of(n.Left)
	if err != nil {
		return nil, err
	}
	if truth(left) == (n.Kind == actionlint.LogicalOpNodeKindOr) {
		return left, nil
	}
	return e.of(n.Right)
}

func (e *evaluation) comparison(n *actionlint.CompareOpNode) (any, error) {
	left, err := e.of(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := e.of(n.Right)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case actionlint.CompareOpNodeKindEq:
		return equal(left, right), nil
	case actionlint.CompareOpNodeKindNotEq:
		return !equal(left, right), nil
	default:
		return nil, fmt.Errorf("comparisons of size are not known here")
	}
}

// equal ignores the case of letters. Values of different kinds are compared as numbers.
func equal(a, b any) bool {
	x, isText := a.(string)
	y, both := b.(string)
	if isText && both {
		return strings.EqualFold(x, y)
	}
	return asNumber(a) == asNumber(b)
}

func asNumber(v any) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case float64:
		return v
	case string:
		if strings.TrimSpace(v) == "" {
			return 0
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			return n
		}
	}
	return math.NaN()
}

func (e *evaluation) call(n *actionlint.FuncCallNode) (any, error) {
	name := strings.ToLower(n.Callee)
	if v, ok := e.functions[name]; ok && len(n.Args) == 0 {
		return v, nil
	}
	args := make([]string, len(n.Args))
	for i, arg := range n.Args {
		v, err := e.of(arg)
		if err != nil {
			return nil, err
		}
		args[i] = asString(v)
	}
	within := map[string]func(a, b string) bool{"contains": strings.Contains, "startswith": strings.HasPrefix,
		"endswith": strings.HasSuffix}[name]
	if within == nil || len(args) != 2 {
		return nil, fmt.Errorf("the function %s is not known here", n.Callee)
	}
	return within(strings.ToLower(args[0]), strings.ToLower(args[1])), nil
}

// property ignores the case of letters; what is not there is null.
func property(v any, name string) any {
	switch object := v.(type) {
	case map[string]any:
		for key, value := range object {
			if strings.EqualFold(key, name) {
				return value
			}
		}
	case map[string]string:
		for key, value := range object {
			if strings.EqualFold(key, name) {
				return value
			}
		}
	}
	return nil
}

func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return v != ""
	}
	return true
}

func asString(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return v
	}
	return fmt.Sprintf("%T", v)
}
