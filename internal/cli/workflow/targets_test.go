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
	step      string   // that it performs, "" for a target outside of the pipelines
	whole     bool     // it performs what it waits for, too
	deps      []string // in lower case
}

// functions calls do with every function of the magefiles.
func functions(t *testing.T, do func(file string, set *token.FileSet, f *ast.FuncDecl)) {
	t.Helper()
	files, err := filepath.Glob("../../../magefiles/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if filepath.Base(file) == "mage_output_file.go" {
			continue // Mage's own, while it compiles
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				do(file, set, f)
			}
		}
	}
}

// targets reads the magefiles; names are in lower case, as Mage compares them.
func targets(t *testing.T) map[string]target {
	t.Helper()
	out := map[string]target{}
	functions(t, func(_ string, _ *token.FileSet, f *ast.FuncDecl) {
		if f.Name.IsExported() {
			out[targetName(f)] = read(f)
		}
	})
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
	var dependencies int
	switch selector(call.Fun) {
	case "cli.step":
		dependencies = 3
	case "cli.profilestep":
		dependencies = 4
	case "cli.release":
		t.whole, dependencies = true, 4
	case "cli.printasset":
		dependencies = 5
	default:
		return
	}
	if !t.whole && dependencies < 5 {
		name, _ := strconv.Unquote(call.Args[2].(*ast.BasicLit).Value)
		t.step = strings.TrimPrefix(selector(call.Args[1]), "release.") + ":" + name
	}
	for _, arg := range call.Args[dependencies:] {
		t.deps = append(t.deps, dependency(arg))
	}
}

// dependency is the target that an argument names: KMS.Build, or mg.F(nodeBuild, profile), which stands for Node.Build.
func dependency(e ast.Expr) string {
	if call, ok := e.(*ast.CallExpr); ok {
		e = call.Args[0]
	}
	if id, ok := e.(*ast.Ident); ok {
		return "node:" + strings.ToLower(strings.TrimPrefix(id.Name, "node"))
	}
	return strings.ReplaceAll(selector(e), ".", ":")
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

// Mage orders and the ledger gates; the two must say the same. Steps that there
// are for each profile are one target.
func TestEachTargetsDependenciesAreItsStepsNeeds(t *testing.T) {
	t.Parallel()
	all := targets(t)
	needs := map[string][]string{}
	for _, graph := range []pipeline.Graph{kmsrelease.Plan(), noderelease.Plan()} {
		require.NoError(t, graph.Check())
		for _, s := range graph {
			for _, need := range s.Needs {
				needs[s.Target()] = append(needs[s.Target()], pipeline.Step{Name: need}.Target())
			}
			require.Equal(t, s.Target(), all[s.Target()].step, "a target performs the step of its own name")
		}
	}
	for name, one := range all {
		if one.step == "" {
			continue
		}
		require.Equal(t, name, one.step)
		slices.Sort(needs[name])
		require.ElementsMatch(t, slices.Compact(needs[name]), one.deps, "what Mage runs before %s", name)
	}
}

// Law 2: a target has at most five lines, and help.
func TestTargetsAreShort(t *testing.T) {
	t.Parallel()
	functions(t, func(file string, set *token.FileSet, f *ast.FuncDecl) {
		lines := set.Position(f.Body.Rbrace).Line - set.Position(f.Body.Lbrace).Line - 1
		require.LessOrEqual(t, lines, 5, "%s in %s", f.Name.Name, file)
		require.NotEmpty(t, f.Doc.Text(), "%s in %s has no help", f.Name.Name, file)
	})
}

// A dependency with a name of its own is the target that it stands for, without its flags.
func TestDependenciesStandForTheirTargets(t *testing.T) {
	t.Parallel()
	functions(t, func(file string, _ *token.FileSet, f *ast.FuncDecl) {
		if f.Name.IsExported() || f.Name.Name == "main" {
			return
		}
		calls := f.Body.List[0].(*ast.ReturnStmt).Results[0].(*ast.CallExpr).Fun.(*ast.SelectorExpr)
		called := calls.X.(*ast.CompositeLit).Type.(*ast.Ident).Name + ":" + calls.Sel.Name
		require.Equal(t, strings.ToLower(called), dependency(f.Name), "%s in %s", f.Name.Name, file)
	})
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
	if t.step == "" {
		return nil
	}
	return []string{t.step}
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
	require.Equal(t, []string{"node:version", "node:build", "node:measure", "node:mrtds", "node:sbom", "node:provenance",
		"node:checksums",
		"node:sign",
		"node:publish", "node:audit", "node:e2e"}, performs(all, "release:nodeprerelease"))
	require.NotContains(t, performs(all, "release:prerelease"), "kms:promote")
	require.Equal(t, target{arguments: 1, flags: []string{"quick", "offline", "trust", "report"}}, all["verify:release"])
}
