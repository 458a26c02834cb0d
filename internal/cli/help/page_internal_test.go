package help

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what docs/commands.md has of the targets anew")

const (
	commandsPage = "docs/commands.md"
	begin        = "<!-- targets: written from magefiles/ by `go test ./internal/cli/help -update` -->\n"
	end          = "<!-- end of targets -->\n"
)

// "docs/commands.md: the table of all targets with the spec's script each replaces", from the comments of the targets.
func TestThePageOfCommands(t *testing.T) {
	t.Parallel()
	name := filepath.Join(repository, commandsPage)
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(data), begin)
	require.True(t, found, "%s has no line %s", commandsPage, begin)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found, "%s has no line %s", commandsPage, end)
	m := manual(t)
	want := before + begin + tables(m, scripts(t, m)) + explanations(t, m) + end + after
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(want), 0o600))
	}
	require.Equal(t, want, string(data), "go test ./internal/cli/help -update")
}

var scriptCall = regexp.MustCompile(`exec go tool mage ([A-Za-z0-9:]+)`)

// scripts are the spec's, by the target that each calls; one that calls two is at both.
func scripts(t *testing.T, m *Manual) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, "scripts", "*.sh"))
	require.NoError(t, err)
	require.Len(t, files, 9)
	out := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		calls := scriptCall.FindAllStringSubmatch(string(data), -1)
		require.NotEmpty(t, calls, file)
		for _, call := range calls {
			target := m.Find(call[1])
			require.NotNil(t, target, "%s calls %s", file, call[1])
			require.Equal(t, target.Name, call[1], file)
			out[target.Name] = filepath.Base(file)
		}
	}
	return out
}

// tables are the list of all targets, group by group.
func tables(m *Manual, scripts map[string]string) string {
	var b strings.Builder
	for _, g := range m.Groups() {
		fmt.Fprintf(&b, "\n## %s\n\n| target | what it does | script of the spec |\n|---|---|---|\n", g.Title)
		for _, t := range g.Targets {
			name := fmt.Sprintf("[`%s`](#%s)", t.Name, anchor(t.Name))
			if len(t.Aliases) > 0 {
				name += " (" + strings.Join(t.Aliases, ", ") + ")"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, cell(strings.TrimSuffix(t.Does, ".")), scripts[t.Name])
		}
	}
	return b.String()
}

// anchor is what GitHub makes of a heading that is a target's name.
func anchor(name string) string { return strings.ToLower(strings.ReplaceAll(name, ":", "")) }

func cell(text string) string { return strings.ReplaceAll(prose(text), "|", `\|`) }

// prose is text in which GitHub sees no emphasis.
func prose(text string) string { return strings.ReplaceAll(text, "*", `\*`) }

// explanations say all that is known of each target.
func explanations(test *testing.T, m *Manual) string {
	test.Helper()
	var b strings.Builder
	b.WriteString("\n## Each target\n")
	for _, g := range m.Groups() {
		for _, t := range g.Targets {
			does := strings.ToUpper(t.Does[:1]) + t.Does[1:]
			fmt.Fprintf(&b, "\n### %s\n\n`%s`\n\n%s\n\n", t.Name, t.Usage(), prose(strings.TrimSpace(does+" "+t.More)))
			for _, a := range t.Arguments {
				fmt.Fprintf(&b, "- `%s`: %s\n", a.Form, prose(a.Means))
			}
			fmt.Fprintf(&b, "- **Needs:** %s\n- **Leaves:** %s\n", prose(t.Needs), prose(t.Leaves))
			for _, e := range t.Examples {
				fmt.Fprintf(&b, "- **Example:** `%s`\n", e)
			}
			if t.See != "" && t.See != commandsPage {
				rel, err := filepath.Rel(filepath.Dir(commandsPage), t.See)
				require.NoError(test, err)
				fmt.Fprintf(&b, "- **More:** [%s](%s)\n", filepath.Base(rel), rel)
			}
		}
	}
	return b.String() + "\n"
}
