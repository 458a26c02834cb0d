package workflow_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goNames knows what the packages of a repository declare, as pages name it. It
// parses a folder when it is first asked for, and checks no types.
type goNames struct {
	t    *testing.T
	root string
	seen map[string]*declarations
}

// declarations are a folder's: "Do", "T", "T.Run" outside of tests, and the tests with the texts of their file.
type declarations struct {
	code  map[string]bool
	tests map[string]map[string]bool
}

func newGoNames(t *testing.T, root string) *goNames {
	t.Helper()
	return &goNames{t: t, root: root, seen: map[string]*declarations{}}
}

// file says whether the repository has such a file.
func (n *goNames) file(name string) bool {
	info, err := os.Stat(filepath.Join(n.root, name))
	return err == nil && info.Mode().IsRegular()
}

// code says whether there is "folder.Name", "folder.Type.Method" or the file "folder/name.ext".
func (n *goNames) code(name string) bool {
	if n.file(name) {
		return true
	}
	dir, base := path.Split(name)
	folder, declared, found := strings.Cut(base, ".")
	return found && n.of(dir + folder).code[declared]
}

var testName = regexp.MustCompile(`^([A-Za-z0-9_/-]+)\.((?:Test|Fuzz)\w*)(?:/(.+))?$`)

// test says whether there is "folder.TestName", with the subtest's text in its
// file when one is named, or the script "folder/name.txtar".
func (n *goNames) test(name string) bool {
	m := testName.FindStringSubmatch(name)
	if m == nil {
		return strings.HasSuffix(name, ".txtar") && n.file(name)
	}
	texts, found := n.of(m[1]).tests[m[2]]
	return found && (m[3] == "" || texts[m[3]])
}

// of is what a folder declares; nothing when there is no such folder.
func (n *goNames) of(dir string) *declarations {
	if d := n.seen[dir]; d != nil {
		return d
	}
	d := &declarations{code: map[string]bool{}, tests: map[string]map[string]bool{}}
	n.seen[dir] = d
	files, err := filepath.Glob(filepath.Join(n.root, dir, "*.go"))
	require.NoError(n.t, err)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(n.t, err)
		if strings.HasSuffix(file, "_test.go") {
			d.addTests(parsed)
			continue
		}
		for _, decl := range parsed.Decls {
			d.addCode(decl)
		}
	}
	return d
}

func (d *declarations) addCode(decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		d.code[receiver(decl)+decl.Name.Name] = true
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				d.code[spec.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					d.code[name.Name] = true
				}
			}
		}
	}
}

// receiver is "T." for a method of T or of *T.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "."
	}
	return "?." // a generic type, which no page names
}

func (d *declarations) addTests(file *ast.File) {
	texts := map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		if lit, ok := node.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				texts[text] = true
			}
		}
		return true
	})
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
			d.tests[f.Name.Name] = texts
		}
	}
}
