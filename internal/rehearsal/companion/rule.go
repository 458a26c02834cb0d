package companion

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"strings"
)

// rule says whether a request is a router's.
type rule func(*http.Request) bool

// parseRule reads the syntax of traefik 3, which is that of a Go expression:
// matchers with one string each, &&, ||, ! and brackets. Of the matchers it knows
// those of methods and paths.
func parseRule(text string) (rule, error) {
	e, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", text, err)
	}
	r, err := toRule(e)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", text, err)
	}
	return r, nil
}

func toRule(e ast.Expr) (rule, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return toRule(e.X)
	case *ast.CallExpr:
		return matcher(e)
	case *ast.UnaryExpr:
		inner, err := toRule(e.X)
		if err == nil && e.Op != token.NOT {
			err = fmt.Errorf("operator %s", e.Op)
		}
		return func(r *http.Request) bool { return !inner(r) }, err
	case *ast.BinaryExpr:
		left, err := toRule(e.X)
		if err != nil {
			return nil, err
		}
		right, err := toRule(e.Y)
		switch {
		case err != nil:
			return nil, err
		case e.Op == token.LAND:
			return func(r *http.Request) bool { return left(r) && right(r) }, nil
		case e.Op == token.LOR:
			return func(r *http.Request) bool { return left(r) || right(r) }, nil
		}
		return nil, fmt.Errorf("operator %s", e.Op)
	}
	return nil, fmt.Errorf("%T is no matcher", e)
}

func matcher(e *ast.CallExpr) (rule, error) {
	name, ok := e.Fun.(*ast.Ident)
	if !ok || len(e.Args) != 1 {
		return nil, fmt.Errorf("a matcher has a name and one value")
	}
	literal, ok := e.Args[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return nil, fmt.Errorf("%s: its value is no string", name.Name)
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(name.Name, "Path") && !strings.HasPrefix(value, "/") {
		return nil, fmt.Errorf("path %q does not start with a '/'", value)
	}
	switch name.Name {
	case "Method":
		return func(r *http.Request) bool { return r.Method == strings.ToUpper(value) }, nil
	case "Path":
		return func(r *http.Request) bool { return r.URL.Path == value }, nil
	case "PathPrefix":
		return func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, value) }, nil
	}
	return nil, fmt.Errorf("unsupported function: %s", name.Name)
}
