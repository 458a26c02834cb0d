package contract_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/contract"
)

const repository = "../../.."

var update = flag.Bool("update", false, "rewrite the golden file")

const good = `# Contract: A service
It answers.

| rule | source | test | sure |
|---|---|---|---|
| A name is short. | https://example.org/names | TestName | certain |
| A name has an end. | public report, 2026-03 | base/file.TestEnd | harsher |

## Known to be missing
- it never rains
  on a Sunday
- money
`

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := contract.Parse("internal/rehearsal/thing/contract.md", good)
	require.NoError(t, err)
	require.Equal(t, contract.Contract{
		System: "A service", File: "internal/rehearsal/thing/contract.md",
		Rules: []contract.Rule{
			{Text: "A name is short.", Source: "https://example.org/names",
				Test: "rehearsal/thing.TestName", Sure: "certain"},
			{Text: "A name has an end.", Source: "public report, 2026-03", Test: "base/file.TestEnd", Sure: "harsher"},
		},
		Missing: []string{"it never rains on a Sunday", "money"},
	}, got)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, made, want string }{
		"no name":          {"# Contract: A service", "A service", `:1 has no first line "# Contract: "`},
		"no rules":         {"| A name is", "- A name is", ":6 is neither a rule nor an item"},
		"another head":     {"| rule | source |", "| rule | where |", ":4 is not understood"},
		"three cells":      {" | certain |", " |", ":6 is no row of four cells"},
		"an empty source":  {"https://example.org/names", "", ":6 is no row of four cells"},
		"a pipe":           {"is short", "is a|b", ":6 is no row of four cells"},
		"no test":          {"TestName", "by hand", `:6 names no test: "by hand"`},
		"how sure":         {"certain", "surely", `:6 says "surely"`},
		"the same again":   {"A name has an end.", "A name is short.", ":7 is a rule for the second time"},
		"another section":  {"## Known to be missing", "## Missing", ":9 is not understood"},
		"nothing missing":  {"\n## Known to be missing\n- it never rains\n  on a Sunday\n- money\n", "", "has no \"## Known"},
		"prose at the end": {"- money", "money", ":12 is neither a rule nor an item"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, c.old)
			_, err := contract.Parse("internal/x/contract.md", strings.Replace(good, c.old, c.made, 1))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	contracts, err := contract.Find(fstest.MapFS{
		"internal/rehearsal/thing/contract.md": {Data: []byte(strings.Replace(good, "A name is short.",
			"A name is so short that it goes on, in a second line, beside the rest of its row.", 1))},
		"internal/rehearsal/thing/thing.go": {Data: []byte("package thing")},
	})
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, contract.Write(&b, contracts))
	const golden = "testdata/table.golden"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// TestContracts holds the pages themselves: each one can be read, and each test that a rule names exists.
func TestContracts(t *testing.T) {
	t.Parallel()
	contracts, err := contract.Find(os.DirFS(repository))
	require.NoError(t, err)
	known := map[string][]string{}
	for _, c := range contracts {
		for _, rule := range c.Rules {
			folder, name, _ := strings.Cut(rule.Test, ".")
			if _, ok := known[folder]; !ok {
				known[folder] = tests(t, folder)
			}
			require.Contains(t, known[folder], name, "%s: there is no test %s", c.File, rule.Test)
		}
	}
}

// tests lists the functions in the tests of a package below internal/.
func tests(t *testing.T, folder string) (out []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, "internal", folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				out = append(out, f.Name.Name)
			}
		}
	}
	return out
}
