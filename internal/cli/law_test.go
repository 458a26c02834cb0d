package cli_test

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/magefile/mage/mg"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
)

// https://github.com/magefile/mage/issues/371: a dependency that fails by
// panicking out of its own mg.Deps leaves no error behind, so the second
// target that depends on it runs. This is that shape: a signature check under
// a guard, and two publishers that both depend on the guard.
func TestALedgerGateHoldsWhereMageDoesNot(t *testing.T) {
	published := map[string]int{}
	noop := func(context.Context, *pipeline.Work) error { return nil }
	publisher := func(name string) func(context.Context, *pipeline.Work) error {
		return func(context.Context, *pipeline.Work) error { published[name]++; return nil }
	}
	bad := errors.New("the signature is bad")
	graph := pipeline.Graph{
		{Name: "signature", Do: func(context.Context, *pipeline.Work) error { return bad }},
		{Name: "guards", Needs: []string{"signature"}, Do: noop},
		{Name: "publish-node", Needs: []string{"guards"}, Do: publisher("node")},
		{Name: "publish-kms", Needs: []string{"guards"}, Do: publisher("kms")},
	}
	ledger, err := pipeline.OpenLedger(t.TempDir(), "mero-kms-v1.2.0", "c", time.Now)
	require.NoError(t, err)
	defer ledger.Close() //nolint:errcheck // test
	run := &pipeline.Run{Graph: graph, Ledger: ledger, Console: console.New(&bytes.Buffer{}, false)}

	reached := map[string]bool{}
	target := func(name string, deps ...any) func() error {
		return func() error {
			mg.SerialDeps(deps...)
			reached[name] = true
			return run.Perform(t.Context(), name)
		}
	}
	signature := target("signature")
	guards := target("guards", signature)
	node, kms := target("publish-node", guards), target("publish-kms", guards)
	// One after the other, so that the test does not depend on scheduling.
	require.Panics(t, func() { mg.SerialDeps(node) })
	func() {
		defer func() { _ = recover() }()
		mg.SerialDeps(kms)
	}()

	require.True(t, reached["publish-kms"], "mage has mended #371: law 2 can be told more simply")
	require.Empty(t, published, "nothing is published after a guard has failed")
}

// Mage orders and the ledger gates; the two must say the same. Steps that there
// are for each profile are one target.
func TestEachTargetsDepsAreItsStepsNeeds(t *testing.T) {
	t.Parallel()
	for file, graph := range map[string]pipeline.Graph{"kms": kmsrelease.Plan(), "node": noderelease.Plan()} {
		deps := targetDeps(t, "../../magefiles/"+file+".go", file)
		require.NoError(t, graph.Check())
		needs := map[string][]string{}
		for _, step := range graph {
			target := step.Target()
			needs[target] = append(needs[target], targets(step.Needs)...)
			require.Contains(t, deps, target, "no target opens the door of %s", step.Name)
		}
		require.Len(t, deps, len(needs), "one target for each step, or for the steps of all profiles")
		for target, want := range needs {
			slices.Sort(want)
			require.ElementsMatch(t, slices.Compact(want), deps[target], "mg.CtxDeps of %s", target)
		}
	}
}

func targets(steps []string) []string {
	out := make([]string, len(steps))
	for i, s := range steps {
		out[i] = pipeline.Step{Name: s}.Target()
	}
	return out
}

// Law 2: "a target is a door of at most five lines".
func TestTargetsAreDoors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../magefiles/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if filepath.Base(file) == "mage_output_file.go" {
			continue // Mage's own, while it compiles
		}
		set, parsed := parse(t, file)
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				lines := set.Position(f.Body.Rbrace).Line - set.Position(f.Body.Lbrace).Line - 1
				require.LessOrEqual(t, lines, 5, "%s in %s", f.Name.Name, file)
				require.NotEmpty(t, f.Doc.Text(), "%s in %s has no help", f.Name.Name, file)
			}
		}
	}
}

func parse(t *testing.T, file string) (*token.FileSet, *ast.File) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments)
	require.NoError(t, err)
	return set, parsed
}

// targetDeps maps the step that each target of a namespace opens to the steps
// of the targets in its mg.CtxDeps. A function outside of the namespace stands
// for the target that it calls.
func targetDeps(t *testing.T, file, namespace string) map[string][]string {
	t.Helper()
	_, parsed := parse(t, file)
	out, stands := map[string][]string{}, map[string]string{}
	for _, decl := range parsed.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		step, needs := read(f)
		if f.Recv == nil {
			stands[f.Name.Name] = step
			continue
		}
		require.Equal(t, namespace+":"+strings.ToLower(f.Name.Name), step, "a target opens its own door")
		out[step] = needs
	}
	for step, needs := range out {
		for i, need := range needs {
			if target, ok := stands[need]; ok {
				out[step][i] = target
			}
		}
	}
	return out
}

// read finds the step whose door a function opens, or the target that it calls, and what it waits for.
func read(f *ast.FuncDecl) (step string, needs []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch called := name(call.Fun); {
		case called == "cli.Open":
			step, _ = strconv.Unquote(call.Args[1].(*ast.BasicLit).Value)
		case called == "mg.CtxDeps":
			for _, arg := range call.Args[1:] {
				needs = append(needs, strings.ReplaceAll(name(arg), ".", ":"))
			}
		case f.Recv == nil:
			step = strings.ReplaceAll(called, ".", ":")
		}
		return true
	})
	return step, needs
}

// name is "X.Sel" in lower case of a selector, of one on a composite literal
// too, and the plain name of a function.
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		x := e.X
		if literal, ok := x.(*ast.CompositeLit); ok {
			x = literal.Type
		}
		if id, ok := x.(*ast.Ident); ok && id.Name != "mg" && id.Name != "cli" {
			return strings.ToLower(id.Name + "." + e.Sel.Name)
		} else if ok {
			return id.Name + "." + e.Sel.Name
		}
	}
	return ""
}
