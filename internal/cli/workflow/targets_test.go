// Package workflow_test looks at what calls the targets from outside: the
// workflows, and the pages that tell people what to call.
//
// Its promise: a workflow calls targets that exist, gives each job what its
// steps read and no more, and has an identity that the verifier accepts; and
// every rule that says so is shown to fire.
package workflow_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
)

// target is what its function in magefiles says of it.
type target struct {
	arguments int      // without a flag
	flags     []string // in lower case
	opens     string   // whose door, "" for a target outside of the pipelines
	whole     bool     // it performs what it waits for, too
	deps      []string // in lower case
}

// targets reads the magefiles; names are in lower case, as Mage compares them.
func targets(t *testing.T) map[string]target {
	t.Helper()
	files, err := filepath.Glob("../../../magefiles/*.go")
	require.NoError(t, err)
	out := map[string]target{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.IsExported() {
				out[targetName(f)] = read(f)
			}
		}
	}
	require.Greater(t, len(out), 40)
	return out
}

func targetName(f *ast.FuncDecl) string {
	name := strings.ToLower(f.Name.Name)
	if f.Recv == nil {
		return name
	}
	return strings.ToLower(f.Recv.List[0].Type.(*ast.Ident).Name) + ":" + name
}

func read(f *ast.FuncDecl) (out target) {
	for _, p := range f.Type.Params.List {
		for _, name := range p.Names {
			switch p.Type.(type) {
			case *ast.StarExpr:
				out.flags = append(out.flags, strings.ToLower(name.Name))
			case *ast.Ident:
				out.arguments++
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			out.call(call)
		}
		return true
	})
	return out
}

func (t *target) call(call *ast.CallExpr) {
	switch selector(call.Fun) {
	case "cli.open":
		t.opens, _ = strconv.Unquote(call.Args[1].(*ast.BasicLit).Value)
	case "cli.whole":
		t.whole = true
	case "mg.ctxdeps":
		for _, arg := range call.Args[1:] {
			t.deps = append(t.deps, strings.ReplaceAll(selector(arg), ".", ":"))
		}
	}
}

func selector(e ast.Expr) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	id, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return strings.ToLower(id.Name + "." + s.Sel.Name)
}

// performs lists the targets whose steps a call performs: its own, or, for one
// that stands for a whole release, also what that needs.
func performs(all map[string]target, name string) []string {
	t := all[name]
	if t.whole {
		var out []string
		for _, dep := range t.deps {
			out = append(out, closure(dep)...)
		}
		return out
	}
	if t.opens == "" {
		return nil
	}
	return []string{t.opens}
}

// closure is the target of a step and those of all that it needs.
func closure(name string) []string {
	for _, g := range []pipeline.Graph{kmsrelease.Plan(), noderelease.Plan()} {
		wanted := map[string]bool{name: true}
		for _, s := range slices.Backward(g) {
			if wanted[s.Target()] {
				for _, need := range s.Needs {
					wanted[pipeline.Step{Name: need}.Target()] = true
				}
			}
		}
		if len(g.Target(name)) > 0 {
			return slices.DeleteFunc(ordered(g), func(s string) bool { return !wanted[s] })
		}
	}
	return nil
}

func ordered(g pipeline.Graph) []string {
	var out []string
	for _, s := range g {
		out = append(out, s.Target())
	}
	return slices.Compact(out)
}

func TestPerforms(t *testing.T) {
	t.Parallel()
	all := targets(t)
	require.Equal(t, []string{"kms:version"}, performs(all, "kms:version"))
	require.Equal(t, []string{"node:measure"}, performs(all, "node:measure"))
	require.Empty(t, performs(all, "release:merge"))
	require.Equal(t, []string{"node:version", "node:build", "node:measure", "node:mrtds", "node:sbom", "node:checksums", "node:sign",
		"node:publish", "node:audit", "node:e2e"}, performs(all, "release:nodeprerelease"))
	require.NotContains(t, performs(all, "release:prerelease"), "kms:promote")
	require.Equal(t, target{arguments: 1, flags: []string{"quick", "offline"}}, all["verify:release"])
}
