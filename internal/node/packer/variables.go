package packer

import (
	"fmt"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// assignments are what a .pkrvars.hcl file assigns.
type assignments map[string]cty.Value

func readVariables(path string) (assignments, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, problems := hclsyntax.ParseConfig(data, path, hcl.InitialPos)
	if problems.HasErrors() {
		return nil, problems
	}
	attributes, problems := file.Body.JustAttributes()
	if problems.HasErrors() {
		return nil, problems
	}
	out := assignments{}
	for name, attribute := range attributes {
		if out[name], problems = attribute.Expr.Value(nil); problems.HasErrors() {
			return nil, fmt.Errorf("%s: %w", name, problems)
		}
	}
	return out, nil
}

// text is a string, or "" for what is missing or is no string.
func (a assignments) text(name string) string {
	v, ok := a[name]
	if !ok || v.IsNull() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// list is a list of strings, or nil for what is missing or is none.
func (a assignments) list(name string) (out []string) {
	v, ok := a[name]
	if !ok || v.IsNull() || !v.CanIterateElements() {
		return nil
	}
	for _, element := range v.AsValueSlice() {
		if element.IsNull() || element.Type() != cty.String {
			return nil
		}
		out = append(out, element.AsString())
	}
	return out
}
