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

Every variable and secret of a release, as the spec lists them (CI/CD Setup), and the few of ours. ` + "`go tool mage doctor`" + `
prints which of them are set, whether they are valid, and whether what they lead to will do: [doctor.md](doctor.md).

A rehearsal needs none of them: it brings its own. An empty value is none. Steps under "needed by" stop without the variable;
those under "read by" do without it, in the way that its purpose or default says.
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
	b.WriteString(intro)
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
	return b.String()
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
