package config_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/release/config"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

//nolint:lll // Markdown, with a sentence in a line
const intro = `<!-- Written from internal/release/config by ` + "`go test ./internal/release/config -update`" +
	`: change it there. -->
# Configuration

For whoever sets up the repository, or asks what a variable is for.

Every variable and secret of a release, as the spec lists them (CI/CD Setup), and the few of ours. ` + "`go tool mage doctor`" + `
prints which of them are set, whether they are valid, and whether what they lead to will do: [doctor.md](doctor.md).

A rehearsal needs none of them: it brings its own. An empty value is none. Steps under "needed by" stop without the variable;
those under "read by" do without it, in the way that its purpose or default says.

The values of ` + "`%s`" + ` are judged by step 1 (` + "`kms:version`, `node:version`" + `) and then lie in the release's ledger: every
later step takes what was judged, and warns of a variable that differs by then. Before step 1 has passed, and for another tag, the
variables count as they are. The others say where something is tried, and may be mended between two attempts. A variable that is
set in one of the repository's GitHub environments reaches no other job: set them for the repository.
`

func TestThePageIsThisList(t *testing.T) {
	t.Parallel()
	const path = "../../../docs/configuration.md"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(page()), 0o644))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, page(), string(written))
}

// page is docs/configuration.md.
func page() string {
	var b strings.Builder
	fmt.Fprintf(&b, intro, strings.Join(judged(), "`, `"))
	for _, part := range []struct {
		kind  config.Kind
		title string
	}{
		{config.KindVariable, "Variables of the repository"}, {config.KindSecret, "Secrets"},
		{config.KindRuntime, "What nobody has to set up"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| name | for | a valid value | needed by | read by |\n|---|---|---|---|---|\n",
			part.title)
		for _, v := range config.Variables() {
			if v.Kind == part.kind {
				b.WriteString(row(v))
			}
		}
	}
	b.WriteString("\n## Read elsewhere\n\nNames that no step of a release reads, or that other programs do.\n\n" +
		"| name | for | read by | by default |\n|---|---|---|---|\n")
	for _, e := range elsewhere {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.name, e.purpose, e.reader, e.otherwise)
	}
	return b.String()
}

func judged() (out []string) {
	for _, v := range config.Variables() {
		if v.IsJudged() {
			out = append(out, v.Name)
		}
	}
	return out
}

func row(v config.Variable) string {
	purpose, valid := v.Purpose, v.Valid
	if v.Default != "" {
		valid += "; by default `" + v.Default + "`"
	}
	if v.Alternative != "" {
		purpose += "; `" + v.Alternative + "` may be set instead"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", v.Name, purpose, valid, code(v.Needs), code(v.Uses))
}

func code(steps []string) string {
	out := make([]string, len(steps))
	for i, step := range steps {
		out[i] = "`" + step + "`"
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
