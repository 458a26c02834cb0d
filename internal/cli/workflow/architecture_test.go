package workflow_test

import (
	"cmp"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	repository = "../../.."
	module     = "github.com/calimero-network/mero-tee/"
)

var architectureRow = regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\| (.+) \\|$")

// rows are the first cells of the tables between two headings of docs/architecture.md, in their order.
func rows(t *testing.T, from, to string) []string {
	t.Helper()
	_, text, found := strings.Cut(page(t, "docs/architecture.md"), "\n"+from+"\n")
	require.True(t, found, from)
	text, _, found = strings.Cut(text, "\n"+to+"\n")
	require.True(t, found, to)
	var out []string
	for _, m := range architectureRow.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// wings are the wings of the house, the highest first.
func wings(t *testing.T) []string { return rows(t, "## The eleven wings", "### cli") }

// packagesOf lists the packages of the wings, as docs/architecture.md calls them, with the imports of
// each outside of its tests.
func packagesOf(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for _, root := range []string{"internal", "policies", "catalog"} {
		err := filepath.WalkDir(filepath.Join(repository, root), func(file string, e fs.DirEntry, err error) error {
			if err != nil || e.Name() == "testdata" {
				return cmp.Or(err, fs.SkipDir)
			}
			if !strings.HasSuffix(file, ".go") {
				return nil
			}
			rel, err := filepath.Rel(repository, filepath.Dir(file))
			if err != nil {
				return err
			}
			name := room(rel)
			imports[name] = append(imports[name], importsOf(t, file)...)
			return nil
		})
		require.NoError(t, err)
	}
	return imports
}

// room is a package's name in docs/architecture.md.
func room(dir string) string { return strings.TrimPrefix(filepath.ToSlash(dir), "internal/") }

// importsOf are the packages of the wings that a file imports; none for a test, which may look upwards.
func importsOf(t *testing.T, file string) (out []string) {
	t.Helper()
	if strings.HasSuffix(file, "_test.go") {
		return nil
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	require.NoError(t, err)
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		if rel, ours := strings.CutPrefix(name, module); ours && !strings.HasPrefix(rel, "docs/") {
			out = append(out, room(rel))
		}
	}
	return out
}

// "internal/ holds exactly" the wings of the table, and policies/ and catalog/ stand beside it.
func TestTheWingsAreThoseOfThePage(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(filepath.Join(repository, "internal"))
	require.NoError(t, err)
	folders := []string{"policies", "catalog"}
	for _, e := range entries {
		folders = append(folders, e.Name())
	}
	require.ElementsMatch(t, folders, wings(t))
}

// Each package has its line of purpose, and each line its package.
func TestEveryPackageHasItsLine(t *testing.T) {
	t.Parallel()
	lines, packages := rows(t, "### cli", "## The closed network"), slices.Collect(maps.Keys(packagesOf(t)))
	require.Empty(t, without(packages, lines), "packages without a line in docs/architecture.md")
	require.Empty(t, without(lines, packages), "lines of docs/architecture.md without a package")
}

func without(all, these []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(these, s) })
}

// "Imports run down this list and never up."
func TestImportsRunDown(t *testing.T) {
	t.Parallel()
	all := packagesOf(t)
	require.Empty(t, upward(wings(t), all))
	for _, wrong := range [][2]string{{"base/fault", "release"}, {"provider/git", "artifact/sbom"},
		{"kms", "node/agent"}} {
		all[wrong[0]] = append(all[wrong[0]], wrong[1])
		require.Contains(t, upward(wings(t), all), wrong[0]+" imports "+wrong[1])
	}
}

// upward lists the imports that lead to a wing above, or to none that is known.
func upward(order []string, imports map[string][]string) (out []string) {
	floor := func(name string) int { return slices.Index(order, strings.Split(path.Clean(name), "/")[0]) }
	for from, list := range imports {
		for _, to := range list {
			if floor(to) < floor(from) {
				out = append(out, from+" imports "+to)
			}
		}
	}
	return out
}

// The design names the packages that the pipeline is built of. Each is required
// as itself, not because something else needs it, and used: by the code, or by
// tests where that is what it is for.
func TestThePackagesOfTheCard(t *testing.T) {
	t.Parallel()
	direct, _, _ := strings.Cut(page(t, "go.mod"), "// indirect")
	code, tests := outsideImports(t)
	for module, users := range map[string]map[string]bool{
		"cloud.google.com/go/compute": code, "github.com/cli/go-gh/v2": code, "github.com/google/go-tdx-guest": code,
		"github.com/hashicorp/packer-plugin-sdk": code, "github.com/magefile/mage": code,
		"github.com/sigstore/cosign/v2": tests, "github.com/stretchr/testify": tests,
	} {
		require.Contains(t, direct, "\t"+module+" v")
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(users)),
			func(name string) bool { return strings.HasPrefix(name, module+"/") }), module)
	}
}

// outsideImports are the packages of others that the repository's code imports, and those of its tests.
func outsideImports(t *testing.T) (code, tests map[string]bool) {
	t.Helper()
	code, tests = map[string]bool{}, map[string]bool{}
	for _, root := range []string{"internal", "policies", "catalog", "magefiles", "packer", "docker", "ansible"} {
		err := filepath.WalkDir(filepath.Join(repository, root), func(file string, e fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			in := code
			if strings.HasSuffix(file, "_test.go") {
				in = tests
			}
			for _, spec := range parsed.Imports {
				in[strings.Trim(spec.Path.Value, `"`)] = true
			}
			return nil
		})
		require.NoError(t, err)
	}
	return code, tests
}
